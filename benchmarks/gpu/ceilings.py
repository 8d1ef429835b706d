"""What a device reaches at best: products of large matrices, and copies."""

from collections.abc import Callable, Iterator

import torch

from benchmarks.gpu.form import Form
from benchmarks.gpu.rows import Row, each, speed
from benchmarks.turns import clocked

_ROUNDS = 5  # of which the fastest counts: a ceiling is what can be reached
_REPEATED = 10  # in a round, so that no launch is waited for


def measure_ceilings(form: Form) -> Iterator[Row]:
    """Measure multiplications and additions a second by precision, and bytes a second.

    tf32 is float32 with products of 10 bits, which replearn never uses.
    """
    kinds = ["float32", "bfloat16", "bandwidth"]
    if form.device == "cuda":
        kinds.insert(1, "tf32")
    yield from each(kinds, lambda kind: _copies(form) if kind == "bandwidth" else _of(kind, form))


def _of(precision: str, form: Form) -> Iterator[Row]:
    side = form.choose(8192, 512)
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    # Noise: with zeros a device needs less power, and is faster than with anything else.
    a, b = (torch.randn(side, side, device=form.device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    try:
        rate = _rate(lambda: torch.mm(a, b, out=out), form.device)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False
    # A product of matrices [n, n] takes n multiplications and n additions for each number.
    text = f"products of {side:,} x {side:,}"
    yield speed(precision, 2 * side**3 * rate, "operations/s", None, text)


def _copies(form: Form) -> Iterator[Row]:
    count = form.choose(2**30, 2**26)  # bytes: far more than any cache holds
    source = torch.randint(0, 256, (count,), dtype=torch.uint8, device=form.device)
    target = torch.empty_like(source)
    rate = _rate(lambda: target.copy_(source), form.device)
    # Each byte is read and written.
    text = f"copies of {count / 2**20:,.0f} MiB, read and written"
    yield speed("bandwidth", 2 * count * rate, "bytes/s", None, text)


def _rate(work: Callable[[], object], device: str) -> float:
    """Return how often a second a device does this at most."""

    def repeated() -> int:
        for _ in range(_REPEATED):
            work()
        return _REPEATED

    repeated()  # what is loaded and chosen at first is not counted
    return max(clocked(repeated, torch.device(device)) for _ in range(_ROUNDS))

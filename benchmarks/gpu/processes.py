"""Two processes that torchrun starts train what one process trains."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.gpu.form import Form
from benchmarks.gpu.pair import trained
from benchmarks.gpu.rows import Row, check, failure

_ROOT = Path(__file__).parents[2]


def check_processes(form: Form) -> Iterator[Row]:
    """Compare the weights of two processes with each other, and with those of one."""
    with tempfile.TemporaryDirectory() as folder:
        run = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        words = ["--nproc-per-node", "2", "-m", "benchmarks.gpu.pair", form.device, folder]
        done = subprocess.run(
            [*run, *words], cwd=_ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            yield failure("torchrun", _reason(done.stderr))
            return
        first, second = (torch.load(Path(folder) / f"{rank}.pt") for rank in (0, 1))
    alone = trained(form.device)
    yield check("weights of the two", _apart(first, second), 0, "of the largest")
    yield check("weights of two and of one", _apart(first, alone), 1e-6, "of the largest")


def _apart(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """Return the largest difference of a tensor's numbers, as a share of its largest one."""
    return max(
        float((found[name].double() - value.double()).abs().max() / value.abs().max().clamp_min(1))
        for name, value in expected.items()
    )


def _reason(said: str) -> str:
    """Return the last line in which a process says which error ended it."""
    errors = [line for line in said.splitlines() if "Error" in line and ": " in line]
    return errors[-1].strip()[-200:] if errors else said.strip()[-200:]

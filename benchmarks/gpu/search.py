"""Exact search on a device: the same neighbours but for ties, and how fast."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.gpu.form import Form
from benchmarks.gpu.roofline import least_seconds_of_search, share_of
from benchmarks.gpu.rows import Row, check, each, number, skipped, speed
from benchmarks.gpu.short_memory import crowded
from benchmarks.time_and_memory import timed
from replearn.neighbors.engine import Engine, Metric, Space
from replearn.neighbors.torch_engine import TorchEngine

Matrix = NDArray[np.float32]

_LEFT = 192 * 2**20  # bytes of a GPU, of which half are for the 98 MiB of vectors
_BLOCK = 8192  # vectors at a time, few enough for that
_ROUNDING = 1e-5  # of a distance
NOT_INSTALLED = "not installed: --plan says how to bring it"
_ENGINES = ("torch", "torch, streamed", "FAISS", "FAISS on the GPU")


@dataclass(frozen=True)
class Known:
    """What double precision gives.

    Attributes:
        space: of the search.
        every: distance of each query to each vector [M, N].
        order: of the vectors of each query [M, k], nearest first.
    """

    space: Space
    every: NDArray[np.float64]
    order: NDArray[np.int64]

    @classmethod
    def of(cls, metric: Metric, queries: Matrix, vectors: Matrix, k: int) -> "Known":
        """Compute it."""
        centre = vectors.mean(axis=0) if metric == "l2" else np.zeros(vectors.shape[1], np.float32)
        every = distances(metric, queries, vectors)
        return cls(Space(metric, centre), every, np.argsort(every, axis=1, kind="stable")[:, :k])


def check_search(form: Form) -> Iterator[Row]:
    """Compare neighbours with those that double precision gives, some vectors twice among them."""
    count, width, asked, k = form.choose((100_000, 256, 200, 20), (500, 16, 40, 10))
    vectors, queries = draw(count, width, 0), draw(asked, width, 1)
    vectors[1::10] = vectors[::10]  # ties
    for metric in get_args(Metric):
        known = Known.of(metric, queries, vectors, k)

        def of_engine(name: str, known: Known = known) -> Iterator[Row]:
            title = f"{name}, {known.space.metric}"
            with crowded(form, _LEFT) if "streamed" in name else nullcontext():
                engine = engine_of(name, known.space, vectors, form)
                if engine is None:
                    yield skipped(title, NOT_INSTALLED)
                else:
                    yield from compared(title, engine, queries, known)

        yield from each(_ENGINES, of_engine)


def compared(title: str, engine: Engine, queries: Matrix, known: Known) -> Iterator[Row]:
    """Compare what an engine finds with what is known."""
    if "streamed" in title and isinstance(engine, TorchEngine):
        yield check(f"{title}, vectors on the device", int(engine._on_device is not None), 0)
    k = known.order.shape[1]
    found = engine.search(queries, k)
    nearest = np.take_along_axis(known.every, known.order, axis=1)
    # Where two are equally far either may be found: it is distances that have to be the same.
    of_found = np.take_along_axis(known.every, found.rows, axis=1)
    for what, values in (("neighbours", of_found), ("distances", found.distances)):
        worst = np.abs(values / nearest - 1).max()
        yield check(f"{title}, {what}", worst, _ROUNDING, "of the distance")
    twice = sum(len(set(rows)) < k for rows in found.rows.tolist())
    yield check(f"{title}, found twice", twice, 0, "queries")
    others = float((found.rows != known.order).mean())
    yield number(f"{title}, ids", others, "other ones, as ties allow")


def distances(metric: Metric, queries: Matrix, vectors: Matrix) -> NDArray[np.float64]:
    """Return the distance of every query to every vector [M, N], in double precision."""
    first, second = queries.astype(np.float64), vectors.astype(np.float64)
    if metric == "cosine":
        first /= np.linalg.norm(first, axis=1, keepdims=True)
        second /= np.linalg.norm(second, axis=1, keepdims=True)
        return np.asarray(1 - first @ second.T)
    squares = (first**2).sum(1)[:, None] + (second**2).sum(1) - 2 * first @ second.T
    return np.asarray(np.sqrt(np.maximum(squares, 0)))


def engine_of(name: str, space: Space, vectors: Matrix, form: Form) -> Engine | None:
    """Return one of the engines, ready to search; None if it is not installed."""
    if name.startswith("torch"):
        rows = {"rows": _BLOCK} if "streamed" in name else {}
        return TorchEngine(space, space.transform(vectors), form.device, **rows)
    if find_spec("faiss") is None:
        return None
    from replearn.neighbors import faiss_engine  # only where FAISS is

    engine = faiss_engine.build(space, vectors, "Flat")
    if name == "FAISS":
        return engine
    there: Any = engine.to(form.device) if form.device == "cuda" else None
    return there if isinstance(there, faiss_engine.FaissEngine) else None


def draw(count: int, width: int, seed: int) -> Matrix:
    """Return normal vectors float32 [N, D]; torch draws them sooner than NumPy."""
    drawn: Matrix = torch.randn(count, width, generator=torch.Generator().manual_seed(seed)).numpy()
    return drawn


def measure_search(form: Form) -> Iterator[Row]:
    """Time the search of all queries, from and to the host's memory; the best of three rounds."""
    count, width, asked, k = form.choose((223_859, 1024, 9938, 50), (3000, 64, 300, 10))
    vectors, queries = draw(count, width, 0), draw(asked, width, 1)
    space = Space("cosine", np.zeros(width, np.float32))
    least = least_seconds_of_search(asked, count, width, form)

    def measured(name: str) -> Iterator[Row]:
        engine = engine_of(name, space, vectors, form)
        if engine is None:
            yield skipped(name, NOT_INSTALLED)
            return
        search: Callable[[], object] = lambda: engine.search(queries, k)  # noqa: E731
        engine.search(queries[:100], k)
        rounds = 1 if name == "FAISS" and form.full else 3  # on the processor: seconds each
        best = min(timed(search)[1].seconds for _ in range(rounds))
        on_device = name != "FAISS" or form.device == "cpu"
        share = share_of(least, best) if on_device else None
        text = f"{best:.3f} s, the {k} nearest of {count:,} x {width:,}"
        yield speed(name, asked / best, "queries/s", share, text)

    yield from each([name for name in _ENGINES if "streamed" not in name], measured)

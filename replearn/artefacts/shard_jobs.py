"""Shards made by one process, by many, or by a cluster, with a count of what goes how fast."""

import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

from replearn.artefacts import workers
from replearn.artefacts.error_budget import ErrorBudget, Errors, TooManyErrors
from replearn.artefacts.shards import Ledger, Shard
from replearn.artefacts.throughput import Seconds, Throughput
from replearn.console import progress

_logger = logging.getLogger(__name__)

Share = TypeVar("Share")
Result = TypeVar("Result")

_WORTH = 10.0  # seconds of work left: less than that is done before other processes have begun


@dataclass(frozen=True)
class ShardResult:
    """The result of one task: a shard, or the errors in its place.

    Attributes:
        shard: that it wrote.
        errors: (id, reason) of what is not in it.
        seconds: spent on each part of the work.
    """

    shard: Shard
    errors: Errors
    seconds: Seconds


def run_shards(
    task: Callable[[Share], Result],
    shares: Sequence[Share],
    throughput: Throughput,
    *,
    jobs: int | None,
    cluster: str | None,
    on_gpu: bool = False,
    here: Callable[[Sequence[Share]], Iterator[Result]] | None = None,
) -> Generator[Result, None, None]:
    """Yield the result of each share.

    Args:
        task: does a share, here or elsewhere.
        shares: what is to be done.
        throughput: learns how many processes there are.
        jobs: processes; if None, the first share is done here, and others help if it pays off.
        cluster: `ray` or `ray://host:port`, see `replearn.artefacts.workers`.
        on_gpu: each task of the cluster needs a GPU.
        here: does several shares in this process, if there is a better way than one by one.
    """
    here = here or (lambda few: map(task, few))
    if jobs is None and cluster is None:
        start = time.monotonic()
        yield from here(shares[:1])
        shares = shares[1:]
        left = (time.monotonic() - start) * len(shares)
        jobs = min(workers.cores(), len(shares)) if left > _WORTH else 1
    if jobs == 1 and cluster is None:
        yield from here(shares)
    else:
        throughput.processes = jobs or 1
        yield from workers.run(task, shares, jobs=jobs or 1, cluster=cluster, on_gpu=on_gpu)


def collect(
    results: Generator[ShardResult, None, None],
    ledger: Ledger,
    budget: ErrorBudget,
    throughput: Throughput,
) -> None:
    """Enter shards into the manifest as they are made, and show how it goes.

    However it ends, nobody makes shards any more when it has.

    Raises:
        TooManyErrors: what was made is thrown away, as the next run must look again at what will
            have been mended.
    """
    done = ledger.finished()
    try:
        with (
            closing(results),
            progress(total=ledger.count, unit="image") as bar,
        ):
            for found in ledger.open():
                budget.add(found.errors)
            bar.update(sum(shard.stop - shard.start for shard in done))
            for made in results:
                ledger.add(made.shard)
                throughput.add(made.shard.stop - made.shard.start, made.seconds)
                bar.set_postfix_str(str(throughput), refresh=False)
                bar.update(made.shard.stop - made.shard.start)
                budget.add(made.errors)
        budget.finish()
    except TooManyErrors:
        ledger.forget()
        raise


def report_done(made: str, left_out: int, throughput: Throughput, seconds: float) -> None:
    """Say what was made, and how fast that went which this run did itself."""
    speed = (
        f", {throughput.images / seconds:,.0f} images/s ({throughput})" if throughput.images else ""
    )
    _logger.info(f"{made}, {left_out:,} left out, {seconds:.1f} s{speed}")

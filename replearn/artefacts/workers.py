"""The same task for many shares of work: here, in processes of this machine, or on Ray.

A task is a function of a module, a share is whatever says what to do: paths and ranges, not
images.  Results come as they are done, in any order.  What is to come in order, while the caller
works on what came before, one thread makes `prefetch`.
"""

import importlib
import multiprocessing
import os
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing, contextmanager, suppress
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any, TypeVar, cast

import joblib

from replearn.console import as_shown_here
from replearn.errors import DataError, UsageError, brief

Share = TypeVar("Share")
Result = TypeVar("Result")
Item = TypeVar("Item")

_WAITING = 2  # shares that wait for each process, so that none waits for a share
_END = object()
_stopped = threading.Event()  # in a worker process that was told to stop


def cores() -> int:
    """Return how many cores this process may use: by its affinity and its container's quota."""
    return int(joblib.cpu_count())


def run(
    task: Callable[[Share], Result],
    shares: Iterable[Share],
    *,
    jobs: int = 1,
    cluster: str | None = None,
    on_gpu: bool = False,
) -> Iterator[Result]:
    """Yield the result of each share.

    Args:
        task: does a share.
        shares: taken from as they can be worked on.
        jobs: processes; with one, the work is done here.
        cluster: `ray`, or the address of a Ray cluster (`ray://host:port`); then `jobs` is the
            number of tasks at a time, and all that the cluster can do if it is 1.
        on_gpu: each task needs a GPU of the cluster.

    Raises:
        DataError: a process died, or Ray is not there.
        UsageError: a number of jobs or a cluster that cannot be.
    """
    if jobs < 1:
        raise UsageError(f"jobs {jobs}: at least 1")
    if cluster is not None:
        yield from _on_ray(task, shares, jobs, cluster, on_gpu)
    elif jobs == 1:
        yield from map(task, shares)
    else:
        yield from _in_processes(as_shown_here(task), shares, jobs)


def _in_processes(
    task: Callable[[Share], Result], shares: Iterable[Share], jobs: int
) -> Iterator[Result]:
    others = multiprocessing.active_children()
    with ProcessPoolExecutor(jobs, _WorkerContext(), _begin) as pool:
        waiting: set[Future[Result]] = set()
        try:
            for share in shares:
                waiting.add(pool.submit(_unless_stopped, task, share))
                while len(waiting) >= jobs * _WAITING:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from _results(done)
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from _results(done)
        except BrokenProcessPool:
            raise DataError(
                "a worker process died: killed, or out of memory; what is finished is kept, run "
                f"the same again, with fewer than --jobs {jobs} if memory was short"
            ) from None
        except KeyboardInterrupt:
            # The signal may have come to this process alone.
            for worker in set(multiprocessing.active_children()).difference(others):
                worker.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


class _Worker(SpawnProcess):
    """A new process that does not run the caller's script again, as other new processes do.

    That script may have no `if __name__ == "__main__":` and would do all of its work once more;
    a task is a function of a module, and needs nothing of it.
    """

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Any:  # noqa: N802
        script = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")  # where a new process learns its path
        try:
            return SpawnProcess._Popen(process_obj)
        finally:
            sys.modules["__main__"] = script


class _WorkerContext(SpawnContext):
    """Starts workers; a forked process would share locks of libraries that have threads."""

    Process = _Worker


def _unless_stopped(task: Callable[[Share], Result], share: Share) -> Result:
    """Do a share; what waits for a process that was told to stop is not begun any more."""
    if _stopped.is_set():
        raise KeyboardInterrupt
    try:
        return task(share)
    except KeyboardInterrupt:
        _stopped.set()
        raise


def _results(done: set[Future[Result]]) -> Iterator[Result]:
    """Yield what succeeded, then raise what one of the others raised."""
    failed = [future for future in done if future.exception()]
    for future in done.difference(failed):
        yield future.result()
    for future in failed:
        future.result()


def _begin() -> None:
    """Set a worker process up: one thread of arithmetic, and an end when its parent ends."""
    with suppress(ModuleNotFoundError):  # without images there may be no OpenCV
        importlib.import_module("cv2").setNumThreads(1)
    warnings.filterwarnings("ignore", module="PIL")  # as `shown` does; no user can do it here
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    """Wait for the end of the parent: a killed one cannot tell its workers to stop."""
    parent.join()
    os._exit(1)


def _on_ray(
    task: Callable[[Share], Result],
    shares: Iterable[Share],
    jobs: int,
    address: str,
    on_gpu: bool,
) -> Iterator[Result]:
    # Not through joblib: its backend for Ray gives no result before it has all of them.
    ray = _connected(address)
    places = int(ray.cluster_resources().get("GPU" if on_gpu else "CPU", 0))
    if on_gpu and not places:
        raise DataError(f"--cluster {address}: it has no GPU; give --device cpu")
    # Else machines without a GPU get tasks too, and one GPU as many as there are cores.
    remote = ray.remote(num_cpus=1, num_gpus=int(on_gpu), max_retries=0)(task)
    most = jobs if jobs > 1 else _WAITING * max(1, places)
    waiting: list[Any] = []
    try:
        with _failing_in_one_line(ray, address):
            for share in shares:
                waiting.append(remote.remote(share))
                while len(waiting) >= most:
                    done, waiting = ray.wait(waiting)
                    yield from ray.get(done)
            while waiting:
                done, waiting = ray.wait(waiting)
                yield from ray.get(done)
    finally:
        for left in waiting:
            ray.cancel(left)


@contextmanager
def joblib_on(cluster: str | None, jobs: int = 1) -> Iterator[None]:
    """Let joblib, where it is not told its number of processes, work where `run` would.

    It is for what joblib splits, as the labels of a regression; the arguments are those of `run`.

    Raises:
        DataError: Ray is not there, or goes away.
        UsageError: a cluster that cannot be.
    """
    if cluster is None:
        with joblib.parallel_config(n_jobs=jobs):
            yield
        return
    ray = _connected(cluster)
    importlib.import_module("ray.util.joblib").register_ray()
    # Ray's pool refuses to be larger than the cluster.
    most = int(ray.cluster_resources().get("CPU", 1))
    tasks = min(jobs, most) if jobs > 1 else most
    one_core = {"num_cpus": 1}
    with (
        _failing_in_one_line(ray, cluster),
        joblib.parallel_config("ray", n_jobs=tasks, ray_remote_args=one_core),
    ):
        yield


@contextmanager
def _failing_in_one_line(ray: Any, address: str) -> Iterator[None]:
    """Raise what a task raised as itself, and what Ray has to say as a DataError."""
    try:
        yield
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise DataError(
            f"--cluster {address}: {brief(error)}; what is finished is kept, run the same again"
        ) from None


def _connected(address: str) -> Any:
    if address != "ray" and not address.startswith("ray://"):
        raise UsageError(f"--cluster {address}: ray for a local cluster, or ray://host:port")
    try:
        ray = importlib.import_module("ray")
    except ImportError:
        raise DataError(f"--cluster {address}: needs pip install 'replearn[ray]'") from None
    if not ray.is_initialized():
        try:
            ray.init(None if address == "ray" else address, log_to_driver=False)
        except Exception as error:  # whatever Ray has to say about a cluster that is not there
            raise DataError(f"--cluster {address}: not to be reached ({brief(error)})")
    return ray


@contextmanager
def prefetch(items: Iterable[Item], waiting: int = 2) -> Iterator[Iterator[Item]]:
    """Give the items, made by another thread while the caller works on those before.

    However the block ends, that thread has ended then, and `items` is closed if it is a generator.

    Args:
        items: taken from in that thread, one after the other.
        waiting: how many of them may wait for the caller.

    Example:
        >>> from replearn.artefacts.workers import prefetch
        >>> with prefetch(number**2 for number in range(4)) as squares:
        ...     list(squares)
        [0, 1, 4, 9]
    """
    with ExitStack() as kept:
        source = iter(items)
        if isinstance(source, Generator):
            kept.enter_context(closing(source))  # last, when no thread is in it any more
        pool = kept.enter_context(ThreadPoolExecutor(1))
        kept.callback(pool.shutdown, cancel_futures=True)
        yield _ahead(pool, source, waiting)


def _ahead(pool: ThreadPoolExecutor, source: Iterator[Item], waiting: int) -> Iterator[Item]:
    coming: deque[Future[object]] = deque()
    while True:
        while len(coming) < waiting:
            coming.append(pool.submit(next, source, _END))
        item = coming.popleft().result()
        if item is _END:
            return
        yield cast(Item, item)

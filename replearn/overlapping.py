"""Stages of a pipeline that work at the same time, each in a thread of its own."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar, cast

Item = TypeVar("Item")

_END = object()


def ahead(items: Iterable[Item], waiting: int = 2) -> Iterator[Item]:
    """Yield the items, made by another thread while the caller works on those before.

    Args:
        items: taken from in that thread, one after the other.
        waiting: how many of them may wait for the caller.
    """
    with ThreadPoolExecutor(1) as pool:
        source = iter(items)
        coming: deque[Future[object]] = deque()
        try:
            while True:
                while len(coming) < waiting:
                    coming.append(pool.submit(next, source, _END))
                item = coming.popleft().result()
                if item is _END:
                    return
                yield cast(Item, item)
        finally:
            pool.shutdown(cancel_futures=True)

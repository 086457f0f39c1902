"""Prefetching in threads while earlier results are processed."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Read = TypeVar("_Read")


def prefetch(
    read: Callable[[_Item], _Read], items: Iterable[_Item], num_threads: int
) -> Iterator[tuple[_Item, _Read]]:
    """Yield each item and its result, in order, prefetching at most ``num_threads`` items."""
    max_pending = max(1, num_threads)
    with ThreadPoolExecutor(max_pending) as pool:
        pending: deque[tuple[_Item, Future[_Read]]] = deque()
        try:
            for item in items:
                pending.append((item, pool.submit(read, item)))
                if len(pending) > max_pending:
                    first, future = pending.popleft()
                    yield first, future.result()
            while pending:
                first, future = pending.popleft()
                yield first, future.result()
        finally:
            for _, future in pending:
                future.cancel()

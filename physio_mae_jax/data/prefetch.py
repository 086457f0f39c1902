"""Reading ahead in threads while earlier results are processed."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Read = TypeVar("_Read")


def prefetch(
    read: Callable[[_Item], _Read], items: Iterable[_Item], num_threads: int
) -> Iterator[tuple[_Item, _Read]]:
    """Yield each item and its result, in order, reading at most ``num_threads`` ahead."""
    ahead = max(1, num_threads)
    with ThreadPoolExecutor(ahead) as pool:
        waiting: deque[tuple[_Item, Future[_Read]]] = deque()
        try:
            for item in items:
                waiting.append((item, pool.submit(read, item)))
                if len(waiting) > ahead:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            for _, future in waiting:
                future.cancel()

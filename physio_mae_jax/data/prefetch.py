"""Reading by threads while what was read before is worked on."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Place = TypeVar("_Place")
_Read = TypeVar("_Read")


def read_ahead(
    read: Callable[[_Place], _Read], places: Iterable[_Place], num_threads: int
) -> Iterator[tuple[_Place, _Read]]:
    """Yield each place and what is read there, in order, at most ``num_threads`` ahead."""
    ahead = max(1, num_threads)
    with ThreadPoolExecutor(ahead) as pool:
        waiting: deque[tuple[_Place, Future[_Read]]] = deque()
        try:
            for place in places:
                waiting.append((place, pool.submit(read, place)))
                if len(waiting) > ahead:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            for _, future in waiting:
                future.cancel()

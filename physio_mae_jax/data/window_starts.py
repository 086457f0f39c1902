"""Where windows may begin in a recording with gaps."""

import bisect
import dataclasses
import functools
from collections.abc import Iterable

import numpy as np

from physio_mae_jax.signals.preprocess import Resampler


@dataclasses.dataclass(frozen=True)
class Starts:
    """First samples of windows, at the model's rate, as stretches of consecutive ones.

    Attributes:
        first: [k] first start of each stretch, ascending.
        count: [k] starts of each, all above 0.
    """

    first: np.ndarray
    count: np.ndarray

    @functools.cached_property
    def _ends(self) -> list[int]:
        """How many starts there are up to the end of each stretch; asked for at every window."""
        return np.cumsum(self.count).tolist()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, number: int) -> int:
        """Return start ``number`` of all."""
        stretch = bisect.bisect_right(self._ends, number)
        last = int(self.first[stretch] + self.count[stretch])
        return last - self._ends[stretch] + number

    def hold(self, start: int) -> bool:
        """Say whether a window may begin there."""
        stretch = int(np.searchsorted(self.first, start, side="right")) - 1
        return stretch >= 0 and bool(start < self.first[stretch] + self.count[stretch])

    def end_to_end(self, length: int) -> list[int]:
        """Return starts of windows of ``length`` that lie end to end within each stretch."""
        return [
            int(start)
            for first, count in zip(self.first, self.count, strict=True)
            for start in range(int(first), int(first + count), length)
        ]


def window_starts(
    num_samples: int,
    gaps: Iterable[tuple[int, int]],
    change: Resampler,
    length: int,
) -> Starts:
    """Find every start of a window that no gap reaches into, through the resampling filter either.

    Args:
        num_samples: of the recording, at its own rate.
        gaps: (start, stop) samples that are not finite, at its own rate.
        change: from its own rate to the model's.
        length: of a window at the model's rate.

    Returns:
        The starts; none where no window fits.
    """
    first, count = [], []
    for begin, end in _between(num_samples, gaps):
        most = change.length_after(end) - length

        def begins_after(start: int, begin: int = begin) -> bool:
            return change.source_span(start, length, num_samples)[0] >= begin

        def ends_after(start: int, end: int = end) -> bool:
            return change.source_span(start, length, num_samples)[1] > end

        # Both are False for small starts and True from some start on.
        low = bisect.bisect_left(range(most + 1), True, key=begins_after)
        high = bisect.bisect_left(range(most + 1), True, key=ends_after) - 1
        if high >= low:
            first.append(low)
            count.append(high - low + 1)
    return Starts(np.asarray(first, np.int64), np.asarray(count, np.int64))


def _between(num_samples: int, gaps: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the stretches of [0, num_samples) that no gap touches."""
    stretches, at = [], 0
    for start, stop in sorted(gaps):
        if start > at:
            stretches.append((at, start))
        at = max(at, stop)
    if num_samples > at:
        stretches.append((at, num_samples))
    return stretches

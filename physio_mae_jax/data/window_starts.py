"""Where windows may begin in a recording with gaps."""

import bisect
import dataclasses
import functools
from collections.abc import Iterable

import numpy as np

from physio_mae_jax.signals.preprocess import Resampler


@dataclasses.dataclass(frozen=True)
class WindowStarts:
    """First samples of windows, at the model's rate, as intervals of consecutive ones.

    Attributes:
        first: [k] first start of each interval, ascending.
        count: [k] number of starts of each interval, all above 0.
    """

    first: np.ndarray
    count: np.ndarray

    @functools.cached_property
    def _ends(self) -> list[int]:
        """Cumulative number of starts at the end of each interval; used by every window."""
        return np.cumsum(self.count).tolist()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, number: int) -> int:
        """Return start ``number`` of all."""
        interval = bisect.bisect_right(self._ends, number)
        last = int(self.first[interval] + self.count[interval])
        return last - self._ends[interval] + number

    def hold(self, start: int) -> bool:
        """Return whether a window may begin at ``start``."""
        interval = int(np.searchsorted(self.first, start, side="right")) - 1
        return interval >= 0 and bool(start < self.first[interval] + self.count[interval])

    def end_to_end(self, length: int) -> list[int]:
        """Return starts of contiguous windows of ``length`` samples within each interval."""
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
) -> WindowStarts:
    """Find all window starts that no gap affects, directly or through the resampling filter.

    Args:
        num_samples: Length of the recording in samples at its own rate.
        gaps: (start, stop) of non-finite samples at its own rate.
        change: Resampler from its own rate to the model's.
        length: Window length in samples at the model's rate.

    Returns:
        The starts; empty if no window fits.
    """
    first, count = [], []
    for begin, end in _between(num_samples, gaps):
        most = change.length_after(end) - length

        def starts_after(start: int, begin: int = begin) -> bool:
            return change.source_span(start, length, num_samples)[0] >= begin

        def ends_after(start: int, end: int = end) -> bool:
            return change.source_span(start, length, num_samples)[1] > end

        # Both are False for small starts and True from some start on.
        low = bisect.bisect_left(range(most + 1), True, key=starts_after)
        high = bisect.bisect_left(range(most + 1), True, key=ends_after) - 1
        if high >= low:
            first.append(low)
            count.append(high - low + 1)
    return WindowStarts(np.asarray(first, np.int64), np.asarray(count, np.int64))


def _between(num_samples: int, gaps: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the segments of [0, num_samples) without gaps."""
    segments, at = [], 0
    for start, stop in sorted(gaps):
        if start > at:
            segments.append((at, start))
        at = max(at, stop)
    if num_samples > at:
        segments.append((at, num_samples))
    return segments

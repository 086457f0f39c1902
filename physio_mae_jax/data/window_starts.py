"""Valid window starts in a recording with gaps."""

import bisect
import dataclasses
import functools
from collections.abc import Iterable

import numpy as np

from physio_mae_jax.signals.preprocess import Resampler


@dataclasses.dataclass(frozen=True)
class WindowStarts:
    """Valid window starts at the model's rate, stored as intervals of consecutive starts.

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

    @functools.cached_property
    def _shifts(self) -> list[int]:
        """Difference between a start and its number, in each interval."""
        return (self.first + self.count - np.cumsum(self.count)).tolist()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, number: int) -> int:
        """Return start ``number`` over all intervals."""
        interval = bisect.bisect_right(self._ends, number)
        return self._shifts[interval] + number

    def contains(self, start: int) -> bool:
        """Return whether a window may begin at ``start``."""
        interval = int(np.searchsorted(self.first, start, side="right")) - 1
        return interval >= 0 and bool(start < self.first[interval] + self.count[interval])

    def end_to_end(self, length: int) -> list[int]:
        """Return starts of contiguous windows of ``length`` samples within each interval."""
        return self.every(length)

    def every(self, step: int) -> list[int]:
        """Return the first start of each interval, and those after it at a distance of ``step``."""
        return [
            int(start)
            for first, count in zip(self.first, self.count, strict=True)
            for start in range(int(first), int(first + count), step)
        ]

    def covering(self, length: int) -> list[int]:
        """Return the starts of ``end_to_end`` and, for the rest of an interval, its last start."""
        starts = []
        for first, count in zip(self.first.tolist(), self.count.tolist(), strict=True):
            starts += sorted({*range(first, first + count, length), first + count - 1})
        return starts


def window_starts(
    num_samples: int,
    gaps: Iterable[tuple[int, int]],
    resampler: Resampler,
    length: int,
) -> WindowStarts:
    """Find all window starts that are not affected by gaps, including through the resampling
    filter.

    Args:
        num_samples: Length of the recording in samples at its own rate.
        gaps: (start, stop) of non-finite samples at its own rate.
        change: Resampler from its own rate to the model's.
        length: Window length in samples at the model's rate.

    Returns:
        The starts; empty if no window fits.
    """
    first, count = [], []
    for begin, end in _gap_free_segments(num_samples, gaps):
        max_start = resampler.length_after(end) - length

        def starts_after(start: int, begin: int = begin) -> bool:
            return resampler.source_span(start, length, num_samples)[0] >= begin

        def ends_after(start: int, end: int = end) -> bool:
            return resampler.source_span(start, length, num_samples)[1] > end

        # Both predicates are False for small starts and True from a certain start on.
        low = bisect.bisect_left(range(max_start + 1), True, key=starts_after)
        high = bisect.bisect_left(range(max_start + 1), True, key=ends_after) - 1
        if high >= low:
            first.append(low)
            count.append(high - low + 1)
    return WindowStarts(np.asarray(first, np.int64), np.asarray(count, np.int64))


def _gap_free_segments(num_samples: int, gaps: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the gap-free segments of [0, num_samples)."""
    segments, position = [], 0
    for start, stop in sorted(gaps):
        if start > position:
            segments.append((position, start))
        position = max(position, stop)
    if num_samples > position:
        segments.append((position, num_samples))
    return segments

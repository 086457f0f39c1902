"""Resampling the channels of a file to the highest of their rates, by segment.

In formats with frames (WFDB frames, EDF data records) each frame has an integer number of samples
of each channel. Sample i at the highest rate lies at position i * slow / fast of a slower channel
and is interpolate_slow_channel linearly, so a segment equals the slice of the complete channel.
After its last sample a slower channel is constant.
"""

from collections.abc import Callable, Sequence

import numpy as np

ReadChannel = Callable[[int, int, int], np.ndarray]


def read_at_highest_rate(
    read: ReadChannel, samples_per_frame: Sequence[int], num_frames: int, start: int, stop: int
) -> np.ndarray:
    """Read samples [start, stop) at the highest rate.

    Args:
        read: (channel, start, stop) -> samples [stop - start] of a channel at its own rate.
        samples_per_frame: Samples per frame of each channel [M].
        num_frames: Number of frames in the file.
        start, stop: Sample range at the highest of the rates.

    Returns:
        float32 [M, stop - start].
    """
    fast = max(samples_per_frame)
    values = np.empty((len(samples_per_frame), stop - start), np.float32)
    for channel, slow in enumerate(samples_per_frame):
        if slow == fast:
            values[channel] = read(channel, start, stop)
            continue
        first, last = source_range(slow, fast, slow * num_frames, start, stop)
        values[channel] = interpolate_slow_channel(
            read(channel, first, last), first, slow, fast, start, stop
        )
    return values


def source_range(slow: int, fast: int, length: int, start: int, stop: int) -> tuple[int, int]:
    """Return the range of a slower channel needed to interpolate samples [start, stop).

    Args:
        slow, fast: Samples per frame of this channel and of the fastest one.
        length: Number of samples of the channel.
        start, stop: Sample range at the highest rate, at least one sample.
    """
    return start * slow // fast, min((stop - 1) * slow // fast + 2, length)


def interpolate_slow_channel(
    values: np.ndarray, first: int, slow: int, fast: int, start: int, stop: int
) -> np.ndarray:
    """Interpolate a slower channel linearly at samples [start, stop) of the highest rate.

    Args:
        values: Samples of the channel from index ``first``, see ``source_range``.
        first: Index of the first sample of ``values``.
        slow, fast: Samples per frame of this channel and of the fastest one.
        start, stop: Sample range at the highest rate.

    Returns:
        float64 [stop - start]; NaN where a needed sample is NaN.
    """
    positions = np.arange(start, stop, dtype=np.int64) * slow
    left = positions // fast - first
    weight = (positions % fast) / fast
    exact = values.astype(np.float64)
    before = exact[left]
    after = exact[np.minimum(left + 1, len(exact) - 1)]
    # A weight of 0 times a NaN or infinite neighbor is still NaN; handled by ``where`` below.
    with np.errstate(invalid="ignore"):
        between = before + weight * (after - before)
    return np.where(weight == 0, before, between)

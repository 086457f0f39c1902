"""Bringing the channels of a file to the highest of their rates, a segment at a time.

A file of frames (the frames of WFDB, the data records of EDF) has a whole number of samples of each
channel in a frame. Sample i of the highest rate lies at position i * slow / fast of a slower
channel, and is interpolated linearly there: a segment is exactly the slice of the whole. Behind
its last sample a slower channel keeps that value.
"""

from collections.abc import Callable, Sequence

import numpy as np

ReadChannel = Callable[[int, int, int], np.ndarray]


def read_at_highest_rate(
    read: ReadChannel, samples_per_frame: Sequence[int], num_frames: int, start: int, stop: int
) -> np.ndarray:
    """Read samples [start, stop) of the highest rate.

    Args:
        read: (channel, start, stop) -> samples [stop - start] of a channel at its own rate.
        samples_per_frame: Samples in a frame of each channel [M].
        num_frames: Number of frames of the file.
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
        first, last = needed_interval(slow, fast, slow * num_frames, start, stop)
        values[channel] = interpolated(read(channel, first, last), first, slow, fast, start, stop)
    return values


def needed_interval(slow: int, fast: int, length: int, start: int, stop: int) -> tuple[int, int]:
    """Return the segment of a slower channel that samples [start, stop) are made of.

    Args:
        slow, fast: Samples in a frame of this channel and of the fastest one.
        length: Number of samples of the channel.
        start, stop: Sample range at the highest rate, at least one sample.
    """
    return start * slow // fast, min((stop - 1) * slow // fast + 2, length)


def interpolated(
    values: np.ndarray, first: int, slow: int, fast: int, start: int, stop: int
) -> np.ndarray:
    """Interpolate a slower channel linearly at samples [start, stop) of the highest rate.

    Args:
        values: Samples of the channel from number ``first`` on, see ``needed_interval``.
        first: Number of the first of them.
        slow, fast: Samples in a frame of this channel and of the fastest one.
        start, stop: Sample range at the highest rate.

    Returns:
        float64 [stop - start]; NaN where a sample that is needed is NaN.
    """
    positions = np.arange(start, stop, dtype=np.int64) * slow
    left = positions // fast - first
    weight = (positions % fast) / fast
    exact = values.astype(np.float64)
    before = exact[left]
    after = exact[np.minimum(left + 1, len(exact) - 1)]
    # Times 0 a missing or infinite neighbour would still make NaN.
    with np.errstate(invalid="ignore"):
        between = before + weight * (after - before)
    return np.where(weight == 0, before, between)

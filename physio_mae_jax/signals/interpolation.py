"""Band-limited interpolation, for sampling-rate ratios without small integers.

The filter is that of the polyphase resampling in ``signals.preprocess``, a Kaiser-windowed sinc,
evaluated at the exact position of each new sample, so time and memory do not depend on the ratio.
"""

import functools

import numpy as np

# Zero crossings of the sinc on each side, and beta of the Kaiser window; as scipy's resample_poly.
ZERO_CROSSINGS = 10
_KAISER_BETA = 5.0
_TABLE_STEPS = 4096  # per zero crossing; linear interpolation is accurate to 1e-7
_CHUNK_VALUES = 2**18


def half_width(step: float) -> int:
    """Return the number of source samples on each side that a new sample depends on.

    Args:
        step: Distance between new samples in source samples.
    """
    return int(np.ceil(ZERO_CROSSINGS * max(1.0, step)))


def interpolate(samples: np.ndarray, first: float, step: float, count: int) -> np.ndarray:
    """Evaluate a signal at positions ``first``, ``first + step``, … among its samples.

    Args:
        samples: [M, n] float, n > 0; continued past both ends by the last value.
        first: Position of the first new sample; 0 is ``samples[:, 0]``.
        step: Distance between new samples in source samples; above 1 the signal is low-pass
            filtered.
        count: Number of new samples.

    Returns:
        [M, count] float64.
    """
    width, scale = half_width(step), max(1.0, step)
    taps = np.arange(1 - width, width + 1)
    result = np.empty((len(samples), count))
    size = max(1, _CHUNK_VALUES // len(taps))
    for begin in range(0, count, size):
        times = first + step * np.arange(begin, min(begin + size, count))
        base = np.floor(times).astype(np.int64)
        distance = np.abs((times - base)[:, None] - taps) / scale
        weights = np.interp(distance, *_kernel(), right=0.0)
        weights /= weights.sum(axis=1, keepdims=True)
        rows = np.clip(base[:, None] + taps, 0, samples.shape[1] - 1)
        for channel, values in enumerate(samples):
            result[channel, begin : begin + size] = np.einsum("ct,ct->c", weights, values[rows])
    return result


@functools.lru_cache(maxsize=1)
def _kernel() -> tuple[np.ndarray, np.ndarray]:
    """Return distances in zero crossings, and the kernel values."""
    distance = np.arange(ZERO_CROSSINGS * _TABLE_STEPS + 1) / _TABLE_STEPS
    inside = np.sqrt(np.maximum(0.0, 1 - (distance / ZERO_CROSSINGS) ** 2))
    return distance, np.sinc(distance) * np.i0(_KAISER_BETA * inside)

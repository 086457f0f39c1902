"""Magnitudes and offsets of samples that float32 cannot represent or resolve.

A z-score is invariant to offset and scale, so such rows are shifted and scaled before they are
converted to float32. Factors are powers of two, which are exact; ordinary samples are unchanged.
"""

import numpy as np

# In this range, squared differences from the mean and their sum over a window fit float32.
_MIN_MAGNITUDE, _MAX_MAGNITUDE = 2.0**-40, 2.0**50
# An offset above this multiple of the samples' range costs float32 precision in the z-score.
_MAX_OFFSET = 1e4
# Above this, not every integer is representable in float64.
_EXACT_INTEGERS = 2**53
_MIN_STEPS = 256


def flat_fraction(dtype: np.dtype) -> float:
    """Return the fraction of the largest value below which a variation is rounding noise."""
    return 1e-6 if dtype.itemsize <= 4 else 1e-12


def exponents(largest: np.ndarray) -> np.ndarray | None:
    """Return powers of two [M] that bring rows into the range of float32; None if none is needed.

    Args:
        largest: [M] maximum magnitude of each row.
    """
    with np.errstate(invalid="ignore"):
        outside = (largest < _MIN_MAGNITUDE) | (largest > _MAX_MAGNITUDE)
        outside &= (largest > 0) & np.isfinite(largest)
    if not outside.any():
        return None
    return np.where(outside, -np.frexp(largest)[1], 0)


def surely_ordinary(
    offset: np.ndarray, std: np.ndarray, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find rows whose largest magnitude surely needs no exponent, without looking at the samples.

    Args:
        offset: [R] magnitude of the mean of each row.
        std: [R] standard deviation, unbiased, of squares that were added in float32.
        length: Samples of a row.

    Returns:
        [R] bool, and [R] a bound that the magnitudes do not exceed where it is True. Both allow for
        a factor of two or more, far beyond the rounding of the sum.
    """
    bound = 2 * (offset + np.sqrt(length) * std)
    return (np.maximum(offset, std) > 4 * _MIN_MAGNITUDE) & (bound < _MAX_MAGNITUDE), bound


def in_range(samples: np.ndarray) -> bool:
    """Return whether sums and squares of [M, n] floats stay within float32."""
    if not samples.size:
        return True
    return exponents(_largest(*_bounds(samples))) is None


def as_float(samples: np.ndarray) -> np.ndarray:
    """Convert numbers [M, n] to float32 if that suffices for each row, else to float64.

    For 64-bit integers beyond float64, the first sample of each row is subtracted.
    """
    samples = remove_large_offset(samples)
    narrow = samples.dtype.kind in "iu" and samples.dtype.itemsize <= 2
    if narrow or samples.dtype in (np.float32, np.float16) or not samples.size:
        return np.asarray(samples, np.float32)
    fits = _fit_float32(*_bounds(samples)).all()
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # long double values become infinite and are rejected
        return samples.astype(np.float32 if fits else np.float64)


def remove_large_offset(samples: np.ndarray) -> np.ndarray:
    """Subtract the first sample of each row of [..., n] if integers exceed float64."""
    if samples.dtype.kind not in "iu" or samples.dtype.itemsize < 8 or not samples.size:
        return samples
    if int(samples.max()) <= _EXACT_INTEGERS and int(samples.min()) >= -_EXACT_INTEGERS:
        return samples
    # Modulo 2^64; differences of half of that or more do not occur in recordings.
    first = samples[..., :1]
    differences = (samples.astype(np.uint64) - first.astype(np.uint64)).view(np.int64)
    exact = samples.astype(np.float64) - first.astype(np.float64)
    return np.where(np.abs(exact) < 2.0**62, differences.astype(np.float64), exact)


def scale_to_float32(samples: np.ndarray, recorded_dtype: np.dtype) -> np.ndarray:
    """Convert finite samples [M, n] to float32; rows out of its range are shifted and scaled.

    Args:
        samples: [M, n] float32 or float64.
        recorded_dtype: Recorded type; sets the range below which differences are rounding noise.

    Returns:
        float32; float32 samples in the range of ``in_range`` are returned unchanged.
    """
    if samples.dtype == np.float32 or not samples.size:
        return np.asarray(samples, np.float32)
    low, high = _bounds(samples)
    fits = _fit_float32(low, high)
    center = low / 2 + high / 2
    half_range = high / 2 - low / 2
    largest = _largest(low, high)
    # The offset of float32 samples is kept, so that ``z_score`` detects flat rows as usual.
    is_exact = recorded_dtype == np.float64
    flat = (
        2 * half_range <= flat_fraction(recorded_dtype) * largest if is_exact else half_range == 0
    )
    # A few steps between subnormal numbers are not a signal.
    flat |= 2 * half_range < _MIN_STEPS * float(np.finfo(recorded_dtype).smallest_subnormal)
    shifted = is_exact & ~flat & ~fits
    rows = samples - np.where(shifted, center, 0.0)[:, None]
    rows[flat & ~fits] = 0.0
    powers = np.where(fits, 0, -np.frexp(np.where(shifted, half_range, largest))[1])
    return np.ldexp(rows, powers[:, None]).astype(np.float32)


def _fit_float32(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the rows [M] bool whose samples float32 represents and resolves."""
    largest = _largest(low, high)
    powers = exponents(largest)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = high - low
        offset = (spread > 0) & (largest > _MAX_OFFSET * spread)
    return ~offset if powers is None else ~offset & (powers == 0)


def _bounds(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the minimum and maximum finite value of each row as float64; NaN if there is none."""
    low, high = np.fmin.reduce(samples, axis=-1), np.fmax.reduce(samples, axis=-1)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        finite = np.where(np.isfinite(samples), samples, np.nan)
        low, high = np.fmin.reduce(finite, axis=-1), np.fmax.reduce(finite, axis=-1)
    with np.errstate(over="ignore"):  # of long double
        return low.astype(np.float64), high.astype(np.float64)


def _largest(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.maximum(high, -low)

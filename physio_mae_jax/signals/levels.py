"""Magnitudes and offsets of samples that float32 cannot hold, or cannot tell apart.

A z-score sees neither an offset nor a factor, so rows of such samples are shifted and scaled before
they are rounded to float32. Factors are powers of two: nothing is rounded by them, and ordinary
samples are left as they are, to the last bit.
"""

import numpy as np

# Between these, squares of deviations and their sum over a window are float32 numbers.
_LEAST, _MOST = 2.0**-40, 2.0**50
# An offset of so many times the range of the samples costs float32 what a z-score would show.
_MOST_OFFSET = 1e4
# Integers from here on are not all float64 numbers.
_EXACT_INTEGERS = 2**53
_FEWEST_STEPS = 256


def flat_share(dtype: np.dtype) -> float:
    """Return the share of its largest value below which a deviation is rounding noise."""
    return 1e-6 if dtype.itemsize <= 4 else 1e-12


def exponents(largest: np.ndarray) -> np.ndarray | None:
    """Return powers of two [M] by which rows come into the range of float32; None if all are.

    Args:
        largest: [M] largest magnitude of each row.
    """
    with np.errstate(invalid="ignore"):
        outside = (largest > 0) & ((largest < _LEAST) | (largest > _MOST)) & np.isfinite(largest)
    if not outside.any():
        return None
    return np.where(outside, -np.frexp(largest)[1], 0)


def in_range(samples: np.ndarray) -> bool:
    """Say whether sums and squares of [M, n] floats stay within float32."""
    if not samples.size:
        return True
    return exponents(_largest(*_bounds(samples))) is None


def as_float(samples: np.ndarray) -> np.ndarray:
    """Return numbers [M, n] as float32 where that is enough for each row, else as float64.

    Of 64-bit integers that float64 cannot hold either, each row is given less its first sample.
    """
    samples = without_large_offset(samples)
    narrow = samples.dtype.kind in "iu" and samples.dtype.itemsize <= 2
    if narrow or samples.dtype in (np.float32, np.float16) or not samples.size:
        return np.asarray(samples, np.float32)
    fits = _fit_float32(*_bounds(samples)).all()
    with np.errstate(over="ignore", invalid="ignore"):  # of long double, refused as infinite
        return samples.astype(np.float32 if fits else np.float64)


def without_large_offset(samples: np.ndarray) -> np.ndarray:
    """Return [..., n], each row less its first sample where these are integers beyond float64."""
    if samples.dtype.kind not in "iu" or samples.dtype.itemsize < 8 or not samples.size:
        return samples
    if int(samples.max()) <= _EXACT_INTEGERS and int(samples.min()) >= -_EXACT_INTEGERS:
        return samples
    # Modulo 2^64; a difference of half of that or more is no recording but is not wrong either.
    first = samples[..., :1]
    differences = (samples.astype(np.uint64) - first.astype(np.uint64)).view(np.int64)
    exact = samples.astype(np.float64) - first.astype(np.float64)
    return np.where(np.abs(exact) < 2.0**62, differences.astype(np.float64), exact)


def level_rows(samples: np.ndarray, recorded: np.dtype) -> np.ndarray:
    """Return finite samples [M, n] as float32, rows that it cannot hold shifted and scaled.

    Args:
        samples: float32 or float64.
        recorded: type in which they were recorded: how small a range is rounding noise.

    Returns:
        float32; float32 samples in the range of ``in_range`` are returned as they are.
    """
    if samples.dtype == np.float32 or not samples.size:
        return np.asarray(samples, np.float32)
    low, high = _bounds(samples)
    fits = _fit_float32(low, high)
    middle = low / 2 + high / 2
    reach = high / 2 - low / 2
    largest = _largest(low, high)
    # Of float32 samples the offset stays, so that ``z_score`` tells flat ones as it does of others.
    is_exact = recorded == np.float64
    flat = 2 * reach <= flat_share(recorded) * largest if is_exact else reach == 0
    # Of so few steps between the smallest numbers there are nothing can be read.
    flat |= 2 * reach < _FEWEST_STEPS * float(np.finfo(recorded).smallest_subnormal)
    shifted = is_exact & ~flat & ~fits
    rows = samples - np.where(shifted, middle, 0.0)[:, None]
    rows[flat & ~fits] = 0.0
    powers = np.where(fits, 0, -np.frexp(np.where(shifted, reach, largest))[1])
    return np.ldexp(rows, powers[:, None]).astype(np.float32)


def _fit_float32(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Say of which rows [M] float32 holds and tells apart the samples."""
    largest = _largest(low, high)
    powers = exponents(largest)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = high - low
        offset = (spread > 0) & (largest > _MOST_OFFSET * spread)
    return ~offset if powers is None else ~offset & (powers == 0)


def _bounds(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the largest finite value of each row as float64; NaN where none is."""
    low, high = np.fmin.reduce(samples, axis=-1), np.fmax.reduce(samples, axis=-1)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        finite = np.where(np.isfinite(samples), samples, np.nan)
        low, high = np.fmin.reduce(finite, axis=-1), np.fmax.reduce(finite, axis=-1)
    with np.errstate(over="ignore"):  # of long double
        return low.astype(np.float64), high.astype(np.float64)


def _largest(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.maximum(high, -low)

"""Host-side processing of a window: resampling and normalization (NumPy and SciPy).

``scipy.signal`` is imported where it is used: importing it takes longer than everything else that
an encoder needs.
"""

import contextlib
import dataclasses
import functools
import math
from collections.abc import Iterator
from fractions import Fraction
from types import ModuleType

import numpy as np

from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.signals.float32_range import exponents, flat_fraction, surely_ordinary
from physio_mae_jax.signals.interpolation import ZERO_CROSSINGS, half_width, interpolate

# Clip after z-scoring, so that one artifact cannot dominate a window (models.md#input-windows).
Z_SCORE_LIMIT = 10.0
# Half length of the polyphase filter in units of max(up, down); scipy's default window design.
_FILTER_HALF_LENGTH = ZERO_CROSSINGS
# Maximum number of phases of a polyphase filter; other ratios are interpolated per sample.
_MAX_PHASES = 2**17
_MAX_DENOMINATOR = 20_000
# Tolerance of a polyphase filter's ratio: less than a sample in a day at 100 Hz.
_RATIO_TOLERANCE = 1e-7
# Settling time of the band-pass, in periods of its lower edge.
_SETTLING_PERIODS = 3.0
# Values that NumPy converts and adds at a time: ``mean`` of float32 rows rounds after each.
_SUMMED_VALUES = 8192
# Values in a buffer of NumPy's. Several rows in a buffer would make it copy their means for each
# sample, which takes longer than the subtraction.
_BUFFER_VALUES = 512


@dataclasses.dataclass(frozen=True)
class Resampler:
    """Rational change of sampling rate, ``up`` / ``down`` in lowest terms.

    Small terms use a polyphase filter. Large ones, as for 1000.01 Hz, only give the position of
    each new sample, so neither memory nor time depends on them.
    """

    up: int
    down: int

    @classmethod
    @functools.lru_cache(maxsize=1024)
    def between(cls, source_hz: float, target_hz: float) -> "Resampler":
        """Find the ratio: exact, or with small terms within a relative error of 1e-7.

        Raises:
            DataError: A rate is not a positive number.
        """
        for rate_hz in (source_hz, target_hz):
            if not (math.isfinite(rate_hz) and rate_hz > 0):
                raise DataError(
                    f"cannot resample {source_hz} Hz to {target_hz} Hz; sampling rates must be "
                    "positive numbers."
                )
        exact = Fraction(str(float(target_hz))) / Fraction(str(float(source_hz)))
        ratio = exact.limit_denominator(_MAX_DENOMINATOR)
        if (
            ratio.numerator > _MAX_PHASES
            or not ratio
            or abs(float(ratio / exact) - 1) > _RATIO_TOLERANCE
        ):
            ratio = exact
        return cls(ratio.numerator, ratio.denominator)

    @property
    def is_polyphase(self) -> bool:
        """Whether the terms are small enough for a polyphase filter."""
        return self.up <= _MAX_PHASES and self.down <= _MAX_DENOMINATOR

    def length_after(self, num_samples: int) -> int:
        """Return the number of output samples for ``num_samples`` input samples."""
        return num_samples * self.up // self.down

    def source_span(self, start: int, length: int, num_samples: int) -> tuple[int, int, int]:
        """Return the input samples required for output samples [start, start + length).

        Returns:
            (first, last, offset): read input samples [first, last), pass them to ``resample`` with
            ``first``, and the requested samples begin at ``offset``. The result equals that of
            resampling the complete recording.
        """
        if self.up == self.down:
            return start, min(num_samples, start + length), 0
        if self.is_polyphase:
            margin = -(-2 * _FILTER_HALF_LENGTH * max(self.up, self.down) // self.up)
        else:
            margin = 2 * half_width(self.down / self.up)
        first = max(0, start * self.down // self.up - margin)
        if self.is_polyphase:  # a point common to both grids
            first = first // self.down * self.down
        last = min(num_samples, -(-(start + length) * self.down // self.up) + margin + 1)
        return first, last, start - self._first_after(first)

    def _first_after(self, sample: int) -> int:
        """Return the first output sample at or after an input sample."""
        return -(-sample * self.up // self.down)


def resample(samples: np.ndarray, change: Resampler, first: int = 0) -> np.ndarray:
    """Resample along the last axis by a low-pass filter.

    Args:
        samples: [M, n] float.
        change: Ratio of the rates.
        first: Index of the first sample in the recording, see ``Resampler.source_span``.

    Returns:
        [M, k] float32, the output samples from the first input sample to the end of the last;
        k = ceil(n up / down) for ``first`` 0. The ends are padded with their edge values, and a
        constant stays constant.
    """
    if change.up == change.down:
        return samples.astype(np.float32, copy=False)
    # Relative to the first value, so that a large offset does not reduce float32 precision.
    offset = samples[:, :1].astype(np.float64)
    centered = np.subtract(samples, offset, dtype=np.float64).astype(np.float32)
    scipy_signal = _scipy_signal() if change.is_polyphase else None
    if scipy_signal:
        resampled = scipy_signal.resample_poly(
            centered,
            change.up,
            change.down,
            axis=-1,
            window=_low_pass(change.up, change.down),
            padtype="edge",
        )
        return (resampled + offset).astype(np.float32)
    begin, end = (-(-at * change.up // change.down) for at in (first, first + samples.shape[-1]))
    position = float(Fraction(begin * change.down, change.up) - first)
    resampled = interpolate(centered, position, change.down / change.up, end - begin)
    return (resampled + offset).astype(np.float32)


@functools.lru_cache(maxsize=1)
def _scipy_signal() -> ModuleType | None:
    """Import ``scipy.signal``; None on a device without it, where every ratio is interpolated."""
    try:
        from scipy import signal as scipy_signal
    except ImportError:
        return None
    return scipy_signal


@functools.lru_cache(maxsize=64)
def _low_pass(up: int, down: int) -> np.ndarray:
    """Design the filter of ``scipy.signal.resample_poly``, but with the same gain in each phase.

    In the original design the phases differ by up to 1e-3, which would add ripple to a constant.
    """
    from scipy import signal as scipy_signal

    slower = max(up, down)
    taps = scipy_signal.firwin(
        2 * _FILTER_HALF_LENGTH * slower + 1, 1 / slower, window=("kaiser", 5.0)
    )
    for phase in range(up):
        taps[phase::up] /= up * taps[phase::up].sum()
    return taps.astype(np.float32)


@dataclasses.dataclass(frozen=True)
class BandPass:
    """Zero-phase fourth-order Butterworth band-pass, applied forward and backward.

    Attributes:
        low_hz, high_hz: Half-power frequencies of one pass, in Hz.
        sampling_rate_hz: Sampling rate of the filtered signals, in Hz.
    """

    low_hz: float
    high_hz: float
    sampling_rate_hz: float

    def __post_init__(self) -> None:
        if not 0 < self.low_hz < self.high_hz < self.sampling_rate_hz / 2:
            raise ConfigError(
                f"the band-pass of {self.low_hz:g} to {self.high_hz:g} Hz must be between 0 and "
                f"half the sampling rate, {self.sampling_rate_hz / 2:g} Hz."
            )

    @property
    def margin_samples(self) -> int:
        """Context on each side; more context changes a window by less than 1e-3."""
        return math.ceil(_SETTLING_PERIODS / self.low_hz * self.sampling_rate_hz)

    def apply(self, signal: np.ndarray) -> np.ndarray:
        """Filter [M, n] float32 along its last axis."""
        from scipy import signal as scipy_signal

        sections = _sections(self.low_hz, self.high_hz, self.sampling_rate_hz)
        # The padding is at most as long as the signal, however short it is.
        reach = min(self.margin_samples, signal.shape[-1] - 1)
        filtered = scipy_signal.sosfiltfilt(
            sections, signal.astype(np.float64), axis=-1, padlen=reach
        )
        return filtered.astype(np.float32)


@functools.lru_cache(maxsize=16)
def _sections(low_hz: float, high_hz: float, sampling_rate_hz: float) -> np.ndarray:
    from scipy import signal as scipy_signal

    return scipy_signal.butter(2, (low_hz, high_hz), "bandpass", fs=sampling_rate_hz, output="sos")


def largest_magnitude(signal: np.ndarray) -> np.ndarray:
    """Return the largest magnitude of each row of [R, L] as float64 [R]; NaN if a sample is."""
    return np.maximum(signal.max(axis=-1), -signal.min(axis=-1)).astype(np.float64)


def z_score(signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Z-score each channel over time (unbiased standard deviation), clipped to ±10.

    Args:
        signal: [M, L] finite samples in any unit.

    Returns:
        signal: [M, L] float32, zeros if a channel is flat.
        varies: [M] bool, False if a channel is flat over the window (lead off).
    """
    if signal.dtype.kind != "f":
        signal = signal.astype(np.float64)
    largest = largest_magnitude(signal)
    powers = exponents(largest)
    if powers is not None:  # too large or small to be squared in float32
        signal = np.ldexp(signal.astype(np.float64), powers[:, None]).astype(signal.dtype)
        largest = np.ldexp(largest, powers)
    normalized = np.empty(signal.shape, np.float32)
    return normalized, z_score_rows(signal, largest, normalized)


def z_score_rows(signal: np.ndarray, largest: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Z-score rows as ``z_score`` does, where their squares are known to fit float32.

    Args:
        signal: [R, L] finite float.
        largest: [R] ``largest_magnitude`` of the rows.
        out: [R, L] float32 that receives the result; may be ``signal``.

    Returns:
        [R] bool, False if a row is flat.
    """
    # Differences from the mean are computed in float64, so that a large offset does not reduce
    # precision, and then fit float32. Few passes over the samples, since this runs for every
    # window.
    mean = signal.mean(axis=-1, keepdims=True, dtype=np.float64)
    np.subtract(signal, mean, out=out, dtype=np.float64, casting="same_kind")
    squares = np.einsum("ml,ml->m", out, out, optimize=False)
    std = np.sqrt(squares.astype(np.float64) / (signal.shape[-1] - 1))
    varies = std > flat_fraction(signal.dtype) * largest
    _scale_rows(out, std, varies)
    return varies


def z_score_ordinary_rows(values: np.ndarray, out: np.ndarray) -> np.ndarray | None:
    """Z-score float32 rows that were copied to float64: the bits of ``z_score``, in less time.

    The copy saves the conversions of ``z_score_rows``, and bounds from the mean and the squares
    save the search for the largest magnitude.

    Args:
        values: [R, L] float64 with values of float32.
        out: [R, L] float32 that receives the result.

    Returns:
        [R] bool, False if a row is flat; None if a row is not finite or needs a power of two before
        it is squared, and ``out`` is undefined.
    """
    length, flat = values.shape[-1], flat_fraction(out.dtype)
    with np.errstate(over="ignore", invalid="ignore"), _small_buffers():
        mean = _sum_by_parts(values) / length
        np.subtract(values, mean, out=out, casting="same_kind")
        squares = np.einsum("ml,ml->m", out, out, optimize=False).astype(np.float64)
        std = np.sqrt(squares / (length - 1))
        ordinary, largest = surely_ordinary(np.abs(mean[:, 0]), std, length)
        varies = ordinary & (std > flat * largest)
        if not varies.all():
            doubtful = np.flatnonzero(~varies)
            exact = np.abs(values[doubtful]).max(axis=-1)
            if not np.isfinite(exact).all() or exponents(exact) is not None:
                return None
            varies[doubtful] = std[doubtful] > flat * exact
        _scale_rows(out, std, varies)
    return varies


def _scale_rows(rows: np.ndarray, std: np.ndarray, varies: np.ndarray) -> None:
    """Divide centered rows [R, L] by their ``std`` [R] and clip them, in place; 0 if flat."""
    scale = np.where(varies, 1 / np.where(varies, std, 1.0), 0.0).astype(np.float32)
    np.multiply(rows, scale[:, None], out=rows)
    np.clip(rows, -Z_SCORE_LIMIT, Z_SCORE_LIMIT, out=rows)


def _sum_by_parts(values: np.ndarray) -> np.ndarray:
    """Sum rows [R, L] float64 in the order in which NumPy sums rows that it converts."""
    total = np.add.reduce(values[:, :_SUMMED_VALUES], axis=-1, keepdims=True)
    for first in range(_SUMMED_VALUES, values.shape[-1], _SUMMED_VALUES):
        part = values[:, first : first + _SUMMED_VALUES]
        total += np.add.reduce(part, axis=-1, keepdims=True)
    return total


@contextlib.contextmanager
def _small_buffers() -> Iterator[None]:
    """Let NumPy use small buffers in this thread."""
    usual = np.setbufsize(_BUFFER_VALUES)
    try:
        yield
    finally:
        np.setbufsize(usual)

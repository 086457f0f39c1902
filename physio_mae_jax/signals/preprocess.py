"""Host-side preparation of one window: resampling and normalising (NumPy and SciPy)."""

import dataclasses
import functools
import math
from fractions import Fraction

import numpy as np
from scipy import signal as scipy_signal

from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.signals.interpolation import ZERO_CROSSINGS, half_width, interpolate
from physio_mae_jax.signals.levels import exponents, flat_share

# Clip after z-scoring, so that one artefact cannot rule a window (models.md#input-windows).
Z_SCORE_LIMIT = 10.0
# Half length of the polyphase filter in units of max(up, down); scipy's default window design.
_FILTER_HALF_LENGTH = ZERO_CROSSINGS
# A polyphase filter has so many phases at most; of other ratios each sample has its own.
_MOST_PHASES = 2**17
_LARGEST_DENOMINATOR = 20_000
# Share by which the ratio of a polyphase filter may be off: less than a sample in a day at 100 Hz.
_RATIO_TOLERANCE = 1e-7
# Periods of the lower edge after which the band-pass has forgotten what was before.
_SETTLING_PERIODS = 3.0


@dataclasses.dataclass(frozen=True)
class Resampler:
    """Rational change of sampling rate, ``up`` / ``down`` in lowest terms.

    Small terms are those of a polyphase filter. Large ones, as of 1000.01 Hz, are only used to say
    where each new sample lies, so that neither memory nor time depends on them.
    """

    up: int
    down: int

    @classmethod
    @functools.lru_cache(maxsize=1024)
    def between(cls, source_hz: float, target_hz: float) -> "Resampler":
        """Find the ratio: exact, or with small terms that are off by 1e-7 at most.

        Raises:
            DataError: a rate is not a positive number.
        """
        for rate_hz in (source_hz, target_hz):
            if not (math.isfinite(rate_hz) and rate_hz > 0):
                raise DataError(
                    f"cannot resample {source_hz} Hz to {target_hz} Hz; samples a second are "
                    "positive numbers."
                )
        exact = Fraction(str(float(target_hz))) / Fraction(str(float(source_hz)))
        ratio = exact.limit_denominator(_LARGEST_DENOMINATOR)
        if (
            ratio.numerator > _MOST_PHASES
            or not ratio
            or abs(float(ratio / exact) - 1) > _RATIO_TOLERANCE
        ):
            ratio = exact
        return cls(ratio.numerator, ratio.denominator)

    @property
    def is_polyphase(self) -> bool:
        """Whether the terms are small enough for a filter with a phase for each."""
        return self.up <= _MOST_PHASES and self.down <= _LARGEST_DENOMINATOR

    def length_after(self, num_samples: int) -> int:
        """Return how many samples at the new rate lie within ``num_samples`` at the old one."""
        return num_samples * self.up // self.down

    def source_span(self, start: int, length: int, num_samples: int) -> tuple[int, int, int]:
        """Say which old samples are needed for new samples [start, start + length).

        Returns:
            (first, last, offset): read old samples [first, last), give them to ``resample`` with
            ``first``, and the wanted samples begin at ``offset``. The result is that of resampling
            the whole recording.
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
        """Return the first new sample that does not lie before an old one."""
        return -(-sample * self.up // self.down)


def resample(samples: np.ndarray, change: Resampler, first: int = 0) -> np.ndarray:
    """Resample along the last axis by a low-pass filter.

    Args:
        samples: [M, n] float.
        change: ratio of the rates.
        first: which old sample the first one is, see ``Resampler.source_span``.

    Returns:
        [M, k] float32, the new samples at or after the first and before the end of the last, which
        is ceil(n up / down) from ``first`` 0 on; the ends are continued by their edge values, and
        a constant stays one.
    """
    if change.up == change.down:
        return samples.astype(np.float32, copy=False)
    # Around the first value, so that a large offset costs no digits in float32.
    offset = samples[:, :1].astype(np.float64)
    centred = np.subtract(samples, offset, dtype=np.float64).astype(np.float32)
    if change.is_polyphase:
        resampled = scipy_signal.resample_poly(
            centred,
            change.up,
            change.down,
            axis=-1,
            window=_low_pass(change.up, change.down),
            padtype="edge",
        )
        return (resampled + offset).astype(np.float32)
    begin, end = (-(-at * change.up // change.down) for at in (first, first + samples.shape[-1]))
    place = float(Fraction(begin * change.down, change.up) - first)
    resampled = interpolate(centred, place, change.down / change.up, end - begin)
    return (resampled + offset).astype(np.float32)


@functools.lru_cache(maxsize=64)
def _low_pass(up: int, down: int) -> np.ndarray:
    """Design the filter of ``scipy.signal.resample_poly``, but with the same gain in each phase.

    As designed the phases differ by up to 1e-3, which would put a ripple on a constant.
    """
    slower = max(up, down)
    taps = scipy_signal.firwin(
        2 * _FILTER_HALF_LENGTH * slower + 1, 1 / slower, window=("kaiser", 5.0)
    )
    for phase in range(up):
        taps[phase::up] /= up * taps[phase::up].sum()
    return taps.astype(np.float32)


@dataclasses.dataclass(frozen=True)
class BandPass:
    """Zero-phase Butterworth band-pass of fourth order, forward and backward.

    Attributes:
        low_hz, high_hz: half-power points of one direction.
        sampling_rate_hz: of the signals it is given.
    """

    low_hz: float
    high_hz: float
    sampling_rate_hz: float

    def __post_init__(self) -> None:
        if not 0 < self.low_hz < self.high_hz < self.sampling_rate_hz / 2:
            raise ConfigError(
                f"the band-pass of {self.low_hz:g} to {self.high_hz:g} Hz must lie between 0 and "
                f"half the sampling rate, {self.sampling_rate_hz / 2:g} Hz."
            )

    @property
    def margin_samples(self) -> int:
        """Context on each side after which more would change a window by less than 1e-3."""
        return math.ceil(_SETTLING_PERIODS / self.low_hz * self.sampling_rate_hz)

    def apply(self, signal: np.ndarray) -> np.ndarray:
        """Filter [M, n] float32 along its last axis."""
        sections = _sections(self.low_hz, self.high_hz, self.sampling_rate_hz)
        # The ends are continued by at most the signal itself, however short it is.
        reach = min(self.margin_samples, signal.shape[-1] - 1)
        filtered = scipy_signal.sosfiltfilt(
            sections, signal.astype(np.float64), axis=-1, padlen=reach
        )
        return filtered.astype(np.float32)


@functools.lru_cache(maxsize=16)
def _sections(low_hz: float, high_hz: float, sampling_rate_hz: float) -> np.ndarray:
    return scipy_signal.butter(2, (low_hz, high_hz), "bandpass", fs=sampling_rate_hz, output="sos")


def z_score(signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normalise each channel over time to mean 0 and unbiased deviation 1, clipped to ±10.

    Args:
        signal: [M, L] finite values in any unit.

    Returns:
        signal: [M, L] float32, zeros where a channel is flat.
        varies: [M] bool, False where a channel is flat over the window (a lead off).
    """
    # Differences from the mean are taken in float64, so that a large offset costs no digits; what
    # is left fits float32. Few passes over the samples: this runs for every window.
    if signal.dtype.kind != "f":
        signal = signal.astype(np.float64)
    largest = np.maximum(signal.max(axis=-1), -signal.min(axis=-1)).astype(np.float64)
    powers = exponents(largest)
    if powers is not None:  # too large or small to be squared in float32
        signal = np.ldexp(signal.astype(np.float64), powers[:, None]).astype(signal.dtype)
        largest = np.ldexp(largest, powers)
    mean = signal.mean(axis=-1, keepdims=True, dtype=np.float64)
    centred = np.subtract(signal, mean, dtype=np.float64).astype(np.float32)
    squares = np.einsum("ml,ml->m", centred, centred, optimize=False)
    deviation = np.sqrt(squares.astype(np.float64) / (signal.shape[-1] - 1))
    varies = deviation > flat_share(signal.dtype) * largest
    scale = np.where(varies, 1 / np.where(varies, deviation, 1.0), 0.0).astype(np.float32)
    centred *= scale[:, None]
    return np.clip(centred, -Z_SCORE_LIMIT, Z_SCORE_LIMIT, out=centred), varies

"""Host-side preparation of one window: resampling and normalising (NumPy and SciPy)."""

import dataclasses
import functools
import math
from fractions import Fraction

import numpy as np
from scipy import signal as scipy_signal

from physio_mae_jax.errors import ConfigError, DataError

# Below this share of its own magnitude a deviation is rounding noise: the window is flat.
_FLAT_RELATIVE = 1e-6
# Clip after z-scoring, so that one artefact cannot rule a window (spec.md §11).
Z_SCORE_LIMIT = 10.0
# Half length of the polyphase filter in units of max(up, down); scipy's default window design.
_FILTER_HALF_LENGTH = 10
# Periods of the lower edge after which the band-pass has forgotten what was before.
_SETTLING_PERIODS = 3.0


@dataclasses.dataclass(frozen=True)
class RateChange:
    """Exact rational change of sampling rate, ``up`` / ``down`` in lowest terms."""

    up: int
    down: int

    @classmethod
    def between(cls, source_hz: float, target_hz: float) -> "RateChange":
        """Find the ratio; rates given to 0.01 Hz (such as 173.61) are met exactly.

        Raises:
            DataError: no ratio with a denominator up to 20,000 comes within 1e-6.
        """
        ratio = (Fraction(str(target_hz)) / Fraction(str(source_hz))).limit_denominator(20_000)
        if abs(float(ratio) * source_hz / target_hz - 1) > 1e-6:
            raise DataError(
                f"cannot resample {source_hz} Hz to {target_hz} Hz by a ratio of whole numbers; "
                f"give the rates with two decimals or fewer."
            )
        return cls(ratio.numerator, ratio.denominator)

    def length_after(self, num_samples: int) -> int:
        """Return how many samples at the new rate lie within ``num_samples`` at the old one."""
        return num_samples * self.up // self.down

    def source_span(self, start: int, length: int, num_samples: int) -> tuple[int, int, int]:
        """Say which old samples are needed for new samples [start, start + length).

        Returns:
            (first, last, offset): read old samples [first, last), resample them, and the wanted
            samples begin at ``offset``. ``first`` lies on a point common to both grids, so the
            result is that of resampling the whole recording.
        """
        if self.up == self.down:
            return start, min(num_samples, start + length), 0
        margin = 2 * _FILTER_HALF_LENGTH * max(self.up, self.down)
        margin_source = -(-margin // self.up)
        first_block = max(0, start * self.down // self.up - margin_source) // self.down
        first = first_block * self.down
        last = min(num_samples, -(-(start + length) * self.down // self.up) + margin_source + 1)
        return first, last, start - first_block * self.up


def resample(samples: np.ndarray, change: RateChange) -> np.ndarray:
    """Resample along the last axis by a polyphase low-pass filter.

    Args:
        samples: [M, n] float.
        change: ratio of the rates.

    Returns:
        [M, ceil(n up / down)] float32; the ends are continued by their edge values, and a
        constant stays one.
    """
    if change.up == change.down:
        return samples.astype(np.float32, copy=False)
    # The filter's phases differ in gain by up to 1e-3; what it makes of ones is that gain.
    with_ones = np.vstack([samples.astype(np.float64), np.ones(samples.shape[-1])])
    resampled = scipy_signal.resample_poly(
        with_ones, change.up, change.down, axis=-1, padtype="edge"
    )
    return (resampled[:-1] / resampled[-1]).astype(np.float32)


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
    values = signal.astype(np.float64)
    mean = values.mean(axis=-1, keepdims=True)
    deviation = values.std(axis=-1, ddof=1, keepdims=True)
    varies = deviation > _FLAT_RELATIVE * np.abs(values).max(axis=-1, keepdims=True)
    normalised = np.where(varies, (values - mean) / np.where(varies, deviation, 1.0), 0.0)
    clipped = np.clip(normalised, -Z_SCORE_LIMIT, Z_SCORE_LIMIT)
    return clipped.astype(np.float32), varies[:, 0]

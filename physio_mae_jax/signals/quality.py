"""Artifacts of a recording: runs of missing, constant, clipped or implausible samples.

Artifacts are only reported; samples are not corrected, removed or imputed. Thresholds are in
physical units and seconds, so that they do not depend on the sampling rate.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from physio_mae_jax.signals.channels import is_ecg

NOT_FINITE = "missing samples"
FLAT = "flat line"
CLIPPED = "clipping"
OUT_OF_RANGE = "out of range"
HEART_RATE = "implausible heart rate"
MISSING = "missing channel"
KINDS = (NOT_FINITE, FLAT, CLIPPED, OUT_OF_RANGE, HEART_RATE, MISSING)

_FLAT_SECONDS = 1.0
# Temperature, EDA, SpO2 and a wrist at rest may stay at one quantized value for long.
_SLOW = ("TEMP", "EDA", "SPO2", "ACC_X", "ACC_Y", "ACC_Z")
_SLOW_FLAT_SECONDS = 120.0
# A clipped signal reaches its rail repeatedly; the peak of a smooth wave once or twice.
_CLIPPED_RUNS = 3
_CLIPPED_RUN_SAMPLES = 3
_CLIPPED_TOTAL_SECONDS = 0.1
# Physiological range (min, max) of each kind, including electrode offset.
_LIMITS = {
    ("ECG", "mV"): (-20.0, 20.0),
    ("EEG", "uV"): (-2_000.0, 2_000.0),
    ("ABP", "mmHg"): (-30.0, 350.0),
    ("TEMP", "degC"): (15.0, 45.0),
    # Below 0, because a low-pass filter undershoots when a sensor comes off.
    ("EDA", "uS"): (-0.2, 100.0),
    ("SPO2", "%"): (0.0, 100.0),
}
_HEART_RATE_BPM = (25.0, 240.0)
_MIN_HEART_RATE_SECONDS = 5.0
_MIN_RATE_FOR_BEATS_HZ = 25.0
_MAX_HEART_RATE_SECONDS = 120.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Artifact:
    """An artifact of one channel of a recording.

    Attributes:
        kind: One of ``KINDS``.
        channel: Channel name.
        runs: (start, stop) in samples; empty if the whole channel is affected.
        detail: Measured value or violated range, as text.
    """

    kind: str
    channel: str
    runs: tuple[tuple[int, int], ...] = ()
    detail: str = ""

    @property
    def num_samples(self) -> int:
        """Number of samples in the runs."""
        return sum(stop - start for start, stop in self.runs)


def find_artifacts(
    signal: np.ndarray,
    channels: Sequence[str],
    units: Sequence[str],
    sampling_rate_hz: float,
    expected: Sequence[str] = (),
) -> list[Artifact]:
    """Find the artifacts of a recording.

    Args:
        signal: [M, n] float32.
        channels: Canonical channel names [M].
        units: Unit of each channel [M].
        sampling_rate_hz: Sampling rate in Hz.
        expected: Channels that the recording should have.

    Returns:
        Artifacts, at most one of each kind per channel; empty for a clean recording.
    """
    findings = [
        Artifact(kind=MISSING, channel=name) for name in expected if name not in set(channels)
    ]
    for values, name, unit in zip(signal, channels, units, strict=True):
        findings += _check_channel(values, name, unit, sampling_rate_hz)
    rate = _heart_rate_finding(signal, channels, sampling_rate_hz)
    return findings if rate is None else [*findings, rate]


def find_runs(condition: np.ndarray, min_length: int = 1) -> list[tuple[int, int]]:
    """Return (start, stop) of each run of at least ``min_length`` True in [n] bool."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], condition.astype(np.int8), [0]])))
    runs = edges.reshape(-1, 2)
    return [(start, stop) for start, stop in runs[runs[:, 1] - runs[:, 0] >= min_length].tolist()]


def constant_runs(values: np.ndarray, min_length: int) -> list[tuple[int, int]]:
    """Return (start, stop) of each run of at least ``min_length`` equal finite samples."""
    same = (values[1:] == values[:-1]) & np.isfinite(values[1:])
    return [(start, stop + 1) for start, stop in find_runs(same, max(1, min_length - 1))]


def _check_channel(
    values: np.ndarray, name: str, unit: str, sampling_rate_hz: float
) -> list[Artifact]:
    findings = []

    def found(kind: str, runs: list[tuple[int, int]], detail: str = "") -> None:
        if runs:
            findings.append(Artifact(kind=kind, channel=name, runs=tuple(runs), detail=detail))

    finite = np.isfinite(values)
    found(NOT_FINITE, find_runs(~finite))
    if not finite.any():
        return findings
    seconds = _SLOW_FLAT_SECONDS if name in _SLOW else _FLAT_SECONDS
    flat = constant_runs(values, max(2, round(seconds * sampling_rate_hz)))
    found(FLAT, flat)
    low, high = float(values[finite].min()), float(values[finite].max())
    if low < high and name not in _SLOW:
        found(CLIPPED, _clipped_runs(values, low, high, flat, sampling_rate_hz))
    limits = _LIMITS.get((_signal_kind(name), unit))
    if limits is not None and (low < limits[0] or high > limits[1]):
        with np.errstate(invalid="ignore"):
            outside = (values < limits[0]) | (values > limits[1])
        found(OUT_OF_RANGE, find_runs(outside), f"{low:g} to {high:g} {unit}")
    return findings


def _clipped_runs(
    values: np.ndarray,
    low: float,
    high: float,
    flat: Sequence[tuple[int, int]],
    sampling_rate_hz: float,
) -> list[tuple[int, int]]:
    """Return the plateaus at either rail, flat lines excluded, if long enough in total."""
    min_length = _CLIPPED_RUN_SAMPLES
    runs = sorted(find_runs(values == low, min_length) + find_runs(values == high, min_length))
    runs = [run for run in runs if not any(a <= run[0] and run[1] <= b for a, b in flat)]
    total = sum(stop - start for start, stop in runs)
    is_clipped = len(runs) >= _CLIPPED_RUNS and total >= _CLIPPED_TOTAL_SECONDS * sampling_rate_hz
    return runs if is_clipped else []


def _signal_kind(name: str) -> str:
    if is_ecg(name):
        return "ECG"
    return "EEG" if name.upper().startswith("EEG") else name


def _heart_rate_finding(
    signal: np.ndarray, channels: Sequence[str], sampling_rate_hz: float
) -> Artifact | None:
    """Check the heart rate of the first ECG or PPG channel with a sufficient sampling rate."""
    if sampling_rate_hz < _MIN_RATE_FOR_BEATS_HZ:
        return None
    for values, name in zip(signal, channels, strict=True):
        kind = _signal_kind(name)
        if kind not in ("ECG", "PPG"):
            continue
        checked = values[: round(_MAX_HEART_RATE_SECONDS * sampling_rate_hz)]
        if (
            len(checked) < _MIN_HEART_RATE_SECONDS * sampling_rate_hz
            or not np.isfinite(checked).all()
        ):
            continue
        checked = checked.astype(np.float64)  # squares may overflow float32
        if np.ptp(checked) == 0:
            continue
        rate = heart_rate_bpm(checked, kind, sampling_rate_hz)
        if rate is not None and _HEART_RATE_BPM[0] <= rate <= _HEART_RATE_BPM[1]:
            return None
        found = "no beats" if rate is None else f"{rate:.0f} beats per minute"
        return Artifact(kind=HEART_RATE, channel=name, detail=found)
    return None


def heart_rate_bpm(values: np.ndarray, kind: str, sampling_rate_hz: float) -> float | None:
    """Estimate the heart rate of an ECG or PPG.

    A plausibility check, not a beat detector: the median interval of the peaks of the band-passed
    slope energy (ECG; after Pan and Tompkins 1985) or of the band-passed pulse (PPG).

    Args:
        values: [n] finite samples, not constant, at least a few seconds.
        kind: 'ECG' or 'PPG'.
        sampling_rate_hz: Sampling rate in Hz, at least 25 (``_MIN_RATE_FOR_BEATS_HZ``).

    Returns:
        Beats per minute; None if fewer than three peaks are detected.
    """
    # Takes most of a second; other parts of this module are used where it is not needed.
    from scipy import ndimage
    from scipy import signal as scipy_signal

    band_hz = (5.0, 15.0) if kind == "ECG" else (0.5, 5.0)
    if sampling_rate_hz < 2.5 * band_hz[1]:
        band_hz = (band_hz[0], 0.4 * sampling_rate_hz)
    sections = scipy_signal.butter(2, band_hz, "bandpass", fs=sampling_rate_hz, output="sos")
    filtered = scipy_signal.sosfiltfilt(sections, values - values.mean())
    if kind == "ECG":
        width = max(1, round(0.12 * sampling_rate_hz))
        # A running mean, whose cost does not depend on the width.
        filtered = ndimage.uniform_filter1d(
            np.gradient(filtered) ** 2, width, mode="constant", origin=0
        )
    strength = np.percentile(filtered, 98) - np.percentile(filtered, 20)
    peaks, _ = scipy_signal.find_peaks(
        filtered,
        distance=max(1, round(0.22 * sampling_rate_hz)),
        prominence=0.3 * strength if strength > 0 else None,
    )
    if len(peaks) < 3:
        return None
    return float(60 * sampling_rate_hz / np.median(np.diff(peaks)))

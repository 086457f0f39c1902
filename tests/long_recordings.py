"""Long recordings: in files, and generated while they are read."""

from pathlib import Path

import numpy as np

from physio_mae_jax.data.source import RecordingInfo
from tests.encoders import beats

LEADS = ("I", "II", "V1")
START = "2025-12-31T23:59:50"


def write_wfdb(folder: Path, signal: np.ndarray, rate_hz: float, name: str = "a") -> Path:
    """Write [M, n] in format 16 with a start ten seconds before midnight; NaN is marked missing."""
    digital = np.round(np.where(np.isnan(signal), -32.768, signal) * 1000).astype("<i2")
    (folder / f"{name}.dat").write_bytes(digital.T.tobytes())
    lines = [f"{name} {len(signal)} {rate_hz:g} {signal.shape[1]} 23:59:50 31/12/2025"]
    lines += [f"{name}.dat 16 1000/mV 16 0 0 0 0 {lead}" for lead in LEADS[: len(signal)]]
    path = folder / f"{name}.hea"
    path.write_text("\n".join(lines) + "\n")
    return path


class GeneratedRecording:
    """One recording that repeats ten seconds of a heart beat, and counts what is read of it."""

    def __init__(self, seconds: float, rate_hz: float = 100.0) -> None:
        self._period = beats(10, rate_hz).astype(np.float32)
        self.longest_read = 0
        self.recordings = [
            RecordingInfo(
                record_id="long",
                subject_id="long",
                channel_names=LEADS,
                sampling_rate_hz=rate_hz,
                num_samples=round(seconds * rate_hz),
            )
        ]

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        self.recordings[index].reject_outside(start, stop)
        self.longest_read = max(self.longest_read, stop - start)
        return self._period[:, np.arange(start, stop) % self._period.shape[1]]

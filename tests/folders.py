"""Folders of recordings in every simple format, and reading them whole."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from physio_mae_jax.data.formats.folder import FolderSource
from tests.paths import REPOSITORY

MANIFESTS = REPOSITORY / "configs" / "manifests"
NAMES = ("II", "PPG", "RESP")


def write_manifest(folder: Path, *entries: dict[str, Any], **defaults: Any) -> None:
    content = {**defaults, "recordings": list(entries)}
    (folder / "manifest.json").write_text(json.dumps(content), encoding="utf-8")


def write_csv(path: Path, signal: np.ndarray, rate_hz: float = 125.0, digits: int = 6) -> None:
    lines = [", ".join(("Time [s]", *NAMES[: len(signal)]))]
    for i, sample in enumerate(signal.T):
        lines.append(", ".join((f"{i / rate_hz:.{digits}f}", *map(str, sample))))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_wfdb(folder: Path, name: str, signal: np.ndarray, rate_hz: float = 250.0) -> np.ndarray:
    """Write a record and return what its 16 bits hold, [M, L] in mV."""
    with warnings.catch_warnings():
        # wfdb 4.3 calls pandas 3.1 with a keyword that it deprecates.
        warnings.filterwarnings("ignore", message="The inplace keyword")
        import wfdb

        wfdb.wrsamp(
            name,
            fs=rate_hz,
            units=["mV"] * len(signal),
            sig_name=list(NAMES[: len(signal)]),
            d_signal=np.round(signal.T * 1000).astype(np.int64),
            fmt=["16"] * len(signal),
            adc_gain=[1000.0] * len(signal),
            baseline=[0] * len(signal),
            write_dir=str(folder),
        )
    return (np.round(signal * 1000) / 1000).astype(np.float32)


def whole(source: FolderSource, index: int = 0) -> np.ndarray:
    return source.read(index, 0, source.recordings[index].num_samples)


def write_format(kind: str, folder: Path, signal: np.ndarray) -> np.ndarray:
    """Write ``signal`` in one format with what it takes to read it; return what it holds."""
    if kind == "npy":
        np.save(folder / "a.npy", signal.T)
        write_manifest(folder, {"file": "a.npy"}, sampling_rate_hz=250, channels=NAMES)
    elif kind == "npz":
        np.savez(folder / "a.npz", signal=signal, channels=NAMES, sampling_rate_hz=250)
    elif kind == "csv":
        write_csv(folder / "a.csv", signal, 250.0)
    else:
        return write_wfdb(folder, "a", signal)
    return signal

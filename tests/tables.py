"""Small tables that tests of CSV and parquet files write."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas

RATE_HZ = 125.0
NUM_SAMPLES = 400


def noise(seed: int = 0, count: int = NUM_SAMPLES) -> np.ndarray:
    """Return what looks like a signal, [count]."""
    return np.round(np.random.default_rng(seed).normal(size=count).cumsum(), 4)


def times_s(count: int = NUM_SAMPLES, rate_hz: float = RATE_HZ) -> np.ndarray:
    """Return times in seconds, [count]."""
    return np.arange(count) / rate_hz


def write_table(folder: Path, kind: str, columns: dict[str, Any], **manifest: Any) -> Path:
    """Write ``t.csv`` or ``t.parquet``, and a manifest where fields of an entry are given."""
    folder.mkdir(exist_ok=True)
    path = folder / f"t.{kind}"
    frame = pandas.DataFrame(columns)
    if kind == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    if manifest:
        content = {"recordings": [{"file": path.name, **manifest}]}
        (folder / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    return path


def write_text(folder: Path, text: str | bytes, name: str = "t.csv", **manifest: Any) -> Path:
    """Write a file as it is, and a manifest where fields of an entry are given."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    if manifest:
        content = {"recordings": [{"file": name, **manifest}]}
        (folder / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    return path

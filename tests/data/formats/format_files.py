"""Parquet tables and EDF recordings of three channels."""

from pathlib import Path
from typing import Any

import edfio
import numpy as np
import pandas

NAMES = ("II", "PPG", "RESP")
RATE_HZ = 250.0


def write_parquet(path: Path, signal: np.ndarray, **columns: Any) -> None:
    table = dict(zip(NAMES, signal, strict=False))
    pandas.DataFrame({**columns, **table}).to_parquet(path, row_group_size=128)


def times_s(count: int = 500) -> np.ndarray:
    return np.arange(count) / RATE_HZ


def edf_signal(values: np.ndarray, label: str, rate_hz: float, unit: str = "mV") -> Any:
    return edfio.EdfSignal(
        values.astype(float), rate_hz, label=label, physical_dimension=unit,
        physical_range=(-10, 10),
    )  # fmt: skip


def write_edf(path: Path, *signals: Any, **options: Any) -> None:
    edfio.Edf(list(signals), data_record_duration=1, **options).write(path)

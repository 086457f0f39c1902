"""Exports of Polar straps, value by value."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.vendor_files import open_one, read_all

RNG = np.random.default_rng(5)
POLAR_START_NS = 599_616_050_941_733_632


def write_polar(folder: Path, kind: str, rate_hz: float, lost: int = 0) -> np.ndarray:
    """Write 1500 samples of a stream, stamped some microseconds beside their time."""
    columns = {
        "ECG": ["timestamp [ms]", "ecg [uV]"],
        "ACC": ["X [mg]", "Y [mg]", "Z [mg]"],
        "GYRO": ["X [dps]", "Y [dps]", "Z [dps]"],
        "PPG": ["channel 0", "channel 1", "channel 2", "ambient"],
    }[kind]
    index = np.arange(1500) + lost * (np.arange(1500) > 800)
    times = POLAR_START_NS + (index / rate_hz * 1e9).astype(np.int64) + RNG.integers(0, 900, 1500)
    values = RNG.integers(-3000, 3000, size=(1500, len(columns)))
    frame = pd.DataFrame(
        {"Phone timestamp": pd.date_range("2026-04-24T14:10", periods=1500, freq="8ms")
         .strftime("%Y-%m-%dT%H:%M:%S.%f").str[:-3], "sensor timestamp [ns]": times}
    )  # fmt: skip
    frame[columns] = values
    frame.to_csv(folder / f"Polar_H10_1_{kind}.txt", sep=";", index=False)
    return values


@pytest.mark.parametrize(
    ("kind", "rate_hz", "names", "unit", "columns"),
    [
        ("ECG", 129.99, ("ECG",), "uV", [1]),
        ("ACC", 50.788, ("ACC_X", "ACC_Y", "ACC_Z"), "mg", [0, 1, 2]),
        ("GYRO", 52.0, ("GYRO_X", "GYRO_Y", "GYRO_Z"), "deg/s", [0, 1, 2]),
        ("PPG", 135.2, ("PPG",), "", [0]),
    ],
)
def test_polar(kind, rate_hz, names, unit, columns, tmp_path: Path) -> None:
    values = write_polar(tmp_path, kind, rate_hz)
    source = open_one(tmp_path)
    info = source.recordings[0]
    assert (info.channel_names, info.units) == (names, (unit,) * len(names))
    wanted_hz = 130 if kind == "ECG" else rate_hz
    assert info.sampling_rate_hz == pytest.approx(wanted_hz, rel=1e-6)
    assert info.num_samples == 1500
    np.testing.assert_array_equal(read_all(source), values[:, columns].T)


def test_lost_samples_of_polar_are_an_error(tmp_path: Path) -> None:
    write_polar(tmp_path, "ECG", 130, lost=400)
    with pytest.raises(DataError, match=r"ECG.txt, line 803: .* jumps by 3\.085 s; steps of"):
        open_folder(tmp_path)
    write_polar(tmp_path, "ECG", 200)
    with pytest.raises(DataError, match="gives 200 samples per second; the device has 130"):
        open_folder(tmp_path)
    entry = {"file": "Polar_H10_1_ECG.txt", "sampling_rate_hz": 200}
    (tmp_path / "manifest.json").write_text(json.dumps({"recordings": [entry]}))
    assert open_folder(tmp_path).recordings[0].sampling_rate_hz == 200


def test_polar_heart_rates_are_no_signal(tmp_path: Path) -> None:
    text = "Phone timestamp;sensor timestamp [ns];HR [bpm]\n2026-04-24T14:10:16.752;1;64\n"
    (tmp_path / "hr.txt").write_text(text)
    with pytest.raises(DataError, match=r"hr\.txt: none of its columns .*HR \[bpm\]"):
        open_folder(tmp_path)

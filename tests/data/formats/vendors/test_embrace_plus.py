"""Exports of the Empatica EmbracePlus against the values written."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.vendor_files import open_one, read_all


def write_embrace_plus(folder: Path, scale: float = 1.0) -> dict[str, np.ndarray]:
    """Write sensors as Empatica's script does, BVP 64 Hz to temperature 1 Hz."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    names = {"bvp": ("bvp",), "accelerometer": ("x", "y", "z"), "eda": ("eda",),
             "temperature": ("temperature",)}  # fmt: skip
    rates = {"bvp": 64, "accelerometer": 64, "eda": 4, "temperature": 1}
    values = {}
    for sensor, columns in names.items():
        values[sensor] = rng.normal(scale=scale, size=(30 * rates[sensor], len(columns)))
        step_us = 1e6 / rates[sensor]
        times = [round(1_700_000_000_000_000 + i * step_us) for i in range(len(values[sensor]))]
        frame = pd.DataFrame({"unix_timestamp": times})
        frame[list(columns)] = values[sensor]
        frame.to_csv(folder / f"{sensor}.csv", index=False)
    (folder / "tags.csv").write_text("tags_timestamp\n1700000000000000\n")
    return values


def test_embrace_plus(tmp_path: Path) -> None:
    values = write_embrace_plus(tmp_path / "p1")
    source = open_one(tmp_path / "p1")
    info = source.recordings[0]
    assert info.channel_names == ("PPG", "ACC_X", "ACC_Y", "ACC_Z", "EDA", "TEMP")
    assert info.units == ("", "g", "g", "g", "uS", "degC")
    assert (info.sampling_rate_hz, info.num_samples) == (64, 30 * 64)
    signal = read_all(source)
    np.testing.assert_allclose(signal[0], values["bvp"][:, 0], rtol=1e-6)
    np.testing.assert_allclose(signal[1:4], values["accelerometer"].T, rtol=1e-6)
    times = np.arange(30 * 64) / 64
    eda = np.interp(times, np.arange(120) / 4, values["eda"][:, 0])
    np.testing.assert_allclose(signal[4], eda, rtol=1e-5, atol=1e-6)


def test_embrace_plus_counts_gaps_and_biomarkers(tmp_path: Path) -> None:
    write_embrace_plus(tmp_path / "p1", scale=500.0)
    assert open_folder(tmp_path / "p1").recordings[0].units[1] == ""
    path = tmp_path / "p1" / "bvp.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:500] + lines[700:]) + "\n")
    with pytest.raises(DataError, match=r"bvp.csv, line 501: .* jumps by 3.141 s"):
        open_folder(tmp_path / "p1")
    (tmp_path / "p2").mkdir()
    head = "timestamp_unix,timestamp_iso,participant_full_id,eda_scl_usiemens\n"
    (tmp_path / "p2" / "eda_min.csv").write_text(head + "1700000000000,x,1-1,0.3\n")
    with pytest.raises(DataError, match="digital biomarkers of an Empatica EmbracePlus"):
        open_folder(tmp_path / "p2")

"""Exports of Muse headbands, value by value."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.vendor_files import open_one, read_all

RNG = np.random.default_rng(5)
MUSE = ["TimeStamp", "Delta_TP9", "RAW_TP9", "RAW_AF7", "RAW_AF8", "RAW_TP10", "AUX_RIGHT",
        "Accelerometer_X", "HeadBandOn", "Battery", "Elements"]  # fmt: skip


def write_muse(folder: Path, rate_hz: float = 256.0, gap_s: float = 0.0) -> np.ndarray:
    """Write 2048 samples in packets of 12, with a blink and a connection between them."""
    values = RNG.normal(800, 50, size=(2048, len(MUSE) - 2)).round(4)
    arrival = (np.arange(2048) // 12) * 12 / rate_hz + RNG.uniform(0, 0.02, 2048 // 12 + 1).repeat(
        12
    )[:2048]  # fmt: skip
    arrival += gap_s * (np.arange(2048) >= 1200)
    times = pd.Timestamp("2025-07-01 14:56:05.592") + pd.to_timedelta(np.sort(arrival), unit="s")
    rows = [
        [time.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3], *map(str, row), ""]
        for time, row in zip(times, values, strict=True)
    ]
    event = ["", *[""] * (len(MUSE) - 2)]
    rows.insert(0, ["2025-07-01 14:56:05.422", *event[1:], "/muse/event/connected MuseS"])
    rows.insert(700, [rows[700][0], *event[1:], "/muse/elements/blink"])
    text = "\n".join(",".join(row) for row in [MUSE, *rows])
    (folder / "mindMonitor.csv").write_text(text + "\n")
    return values.astype(np.float32)


@pytest.mark.parametrize("rate_hz", [256.0, 219.5])
def test_mind_monitor(rate_hz: float, tmp_path: Path) -> None:
    values = write_muse(tmp_path, rate_hz)
    source = open_one(tmp_path)
    info = source.recordings[0]
    assert info.channel_names == ("EEG_TP9", "EEG_AF7", "EEG_AF8", "EEG_TP10")
    assert (set(info.units), info.num_samples) == ({"uV"}, 2048)
    assert info.sampling_rate_hz == (256 if rate_hz == 256 else 220)
    np.testing.assert_allclose(read_all(source), values[:, 1:5].T, rtol=1e-6)
    entry = {"file": "*.csv", "channels": ["ACC_X", "EEG_AF7"]}
    (tmp_path / "manifest.json").write_text(json.dumps({"recordings": [entry]}))
    np.testing.assert_allclose(read_all(open_folder(tmp_path)), values[:, [6, 2]].T, rtol=1e-6)


def test_muse_recorded_slowly_or_with_gaps(tmp_path: Path) -> None:
    write_muse(tmp_path, rate_hz=10)
    with pytest.raises(DataError, match=r"mindMonitor.csv.*(jumps|samples per second)"):
        open_folder(tmp_path)
    write_muse(tmp_path, gap_s=3)
    with pytest.raises(DataError, match=r"mindMonitor.csv, line \d+: .* jumps by 3\.0"):
        open_folder(tmp_path)


def test_muselsl(tmp_path: Path) -> None:
    values = RNG.normal(size=(2560, 5)).round(3)
    frame = pd.DataFrame(values, columns=["TP9", "AF7", "AF8", "TP10", "Right AUX"])
    frame.insert(0, "timestamps", (1.7e9 + np.arange(2560) / 256).round(3))
    frame.to_csv(tmp_path / "EEG_recording.csv", index=False)
    source = open_one(tmp_path)
    assert source.recordings[0].sampling_rate_hz == 256
    np.testing.assert_allclose(read_all(source), values[:, :4].T.astype(np.float32))

"""Exports of Garmin watches, value by value."""

import json
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.vendor_files import open_one, read_all

RNG = np.random.default_rng(5)


def write_garmin(folder: Path, steps=(), lacking=()) -> np.ndarray:
    """Write 300 records a second apart; those of ``lacking`` have no heart rate."""
    heart = RNG.integers(60, 180, 300)
    warm = RNG.integers(20, 35, 300)
    lines = [
        "Type,Local Number,Message,Field 1,Value 1,Units 1,Field 2,Value 2,Units 2,",
        'Definition,0,file_id,type,1,,manufacturer,1,,',
        'Data,0,file_id,type,"4",,manufacturer,"1",,',
        "Definition,1,record,timestamp,1,,heart_rate,1,,temperature,1,,",
    ]  # fmt: skip
    time = 1_000_000_000
    for i in range(300):
        fields = [f'timestamp,"{time}",s', f'distance,"{i}.5",m']
        fields += [f'heart_rate,"{heart[i]}",bpm'] * (i not in lacking)
        lines.append(",".join(["Data,1,record", *fields, f'temperature,"{warm[i]}",C']) + ",")
        time += 1 + (i in steps)
    (folder / "activity.csv").write_text("\n".join(lines) + "\n")
    values = np.stack([heart, warm]).astype(np.float32)
    values[0, list(lacking)] = np.nan
    return values


def test_garmin(tmp_path: Path, caplog) -> None:
    values = write_garmin(tmp_path, lacking=(7, 8))
    source = open_one(tmp_path)
    info = source.recordings[0]
    assert (info.channel_names, info.units) == (("heart_rate", "TEMP"), ("bpm", "degC"))
    assert info.sampling_rate_hz == 1
    np.testing.assert_array_equal(read_all(source), values)
    assert "the fields distance are not used" in caplog.text
    entry = {"file": "activity.csv", "channels": ["distance"]}
    (tmp_path / "manifest.json").write_text(json.dumps({"recordings": [entry]}))
    np.testing.assert_array_equal(read_all(open_folder(tmp_path))[0], np.arange(300) + 0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace('"1000000100"', '"x"'), "line 105: timestamp reads 'x'"),
        (lambda t: t.replace('heart_rate,"', 'heart_rate,"a', 1), "line 5: heart_rate reads 'a"),
        (lambda t: t[:230], "has no records of an activity"),
    ],
)
def test_broken_garmin(change, message: str, tmp_path: Path) -> None:
    write_garmin(tmp_path)
    path = tmp_path / "activity.csv"
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=message):
        open_folder(tmp_path)


def test_smart_recording_of_garmin_is_an_error(tmp_path: Path) -> None:
    write_garmin(tmp_path, steps=(40, 90, 91))
    with pytest.raises(DataError, match=r"activity.csv, line \d+: the time column is not uniform"):
        open_folder(tmp_path)

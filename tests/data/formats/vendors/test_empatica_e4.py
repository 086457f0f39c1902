"""Exports of the Empatica E4 against readers of pandas and numpy."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from physio_mae_jax.data.formats.folder import draft_manifest, open_files, open_folder
from physio_mae_jax.errors import DataError
from physio_mae_jax.prepare import main as prepare
from tests.vendor_files import open_one, read_all, real_exports

CHANNELS = ("PPG", "ACC_X", "ACC_Y", "ACC_Z", "EDA", "TEMP")
UNITS = ("", "g", "g", "g", "uS", "degC")
RATES = {"BVP": 64, "ACC": 32, "EDA": 4, "TEMP": 4}


def write_e4(folder: Path, seconds: int = 20, start=1_600_000_000.0, **late_s: float) -> None:
    """Write an export whose sensors begin ``late_s`` after ``start``."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for sensor, rate in RATES.items():
        columns = 3 if sensor == "ACC" else 1
        begin = start + late_s.get(sensor, 0.0)
        samples = rng.normal(scale=30, size=(seconds * rate, columns)).round(
            0 if columns > 1 else 2
        )
        lines = [", ".join([f"{x:.6f}"] * columns) for x in (begin, rate)]
        lines += [",".join(f"{x:g}" for x in row) for row in samples]
        (folder / f"{sensor}.csv").write_text("\n".join(lines) + "\n")
    (folder / "HR.csv").write_text(f"{start:.6f}\n1.000000\n70.00\n")
    (folder / "IBI.csv").write_text(f"{start:.6f}, IBI\n0.5,0.9\n")
    (folder / "tags.csv").write_text(f"{start:.2f}\n")
    (folder / "info.txt").write_text(".csv files in this archive are in the following format:\n")


def pack(folder: Path, path: Path, prefix: str = "") -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, prefix + file.name)


def expected(tables: dict[str, pd.DataFrame]) -> np.ndarray:
    """Join what pandas reads of each sensor: linear interpolation to 64 Hz, whole quarters."""
    starts = {name: table.iloc[0, 0] for name, table in tables.items()}
    latest = max(starts.values())
    values = {}
    for name, table in tables.items():
        skip = round((latest - starts[name]) * table.iloc[1, 0])
        values[name] = table.iloc[2 + skip :].to_numpy(np.float64)
    values["ACC"] /= 64
    quarters = min(len(values[name]) * 4 // rate for name, rate in RATES.items())
    times = np.arange(quarters * 16) / 64
    rows = []
    for name, rate in RATES.items():
        kept = values[name][: quarters * rate // 4]
        rows += [np.interp(times, np.arange(len(kept)) / rate, column) for column in kept.T]
    return np.stack(rows)


def tables_of(folder: Path) -> dict[str, pd.DataFrame]:
    return {name: pd.read_csv(folder / f"{name}.csv", header=None) for name in RATES}


def assert_e4(source, folder: Path) -> None:
    info = source.recordings[0]
    assert (info.channel_names, info.units) == (CHANNELS, UNITS)
    assert info.sampling_rate_hz == 64
    np.testing.assert_allclose(read_all(source), expected(tables_of(folder)), rtol=1e-5, atol=1e-5)


def test_a_folder_and_a_zip_are_one_recording_each(tmp_path: Path) -> None:
    write_e4(tmp_path / "p1", EDA=1.25, TEMP=0.003)
    source = open_one(tmp_path / "p1")
    assert source.recordings[0].record_id == "p1"
    assert_e4(source, tmp_path / "p1")
    for prefix in ("", "session/"):
        (tmp_path / f"zips{len(prefix)}").mkdir()
        pack(tmp_path / "p1", tmp_path / f"zips{len(prefix)}" / "p1_E4.zip", prefix)
        zipped = open_one(tmp_path / f"zips{len(prefix)}")
        assert zipped.recordings[0].record_id == "p1_E4"
        np.testing.assert_array_equal(read_all(zipped), read_all(source))


def test_sub_folders_are_recordings_beside_other_files(tmp_path: Path) -> None:
    for name in ("p1", "p2"):
        write_e4(tmp_path / name)
    np.savez(tmp_path / "c.npz", X=np.ones((1, 900)), channels=["PPG"], fs=64)
    source = open_folder(tmp_path)
    assert [info.record_id for info in source.recordings] == ["c", "p1", "p2"]
    manifest = {"recordings": [{"file": "p*/BVP.csv", "channels": ["PPG", "EDA"],
                                "subject_pattern": "(p.)/BVP"}]}  # fmt: skip
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    source = open_folder(tmp_path)
    assert [info.subject_id for info in source.recordings] == ["p1", "p2"]
    np.testing.assert_allclose(
        read_all(source), expected(tables_of(tmp_path / "p1"))[[0, 4]], rtol=1e-5, atol=1e-5
    )


def test_channels_of_one_rate_are_read_as_they_are(tmp_path: Path) -> None:
    write_e4(tmp_path / "p1")
    source = open_folder(tmp_path / "p1", channels="EDA,TEMP")
    table = pd.read_csv(tmp_path / "p1" / "EDA.csv", header=None)
    assert source.recordings[0].channel_names == ("EDA", "TEMP")
    assert source.recordings[0].sampling_rate_hz == 4
    np.testing.assert_allclose(read_all(source)[0], table.iloc[2:, 0], rtol=1e-6)


def test_a_sensor_that_was_off_is_absent(tmp_path: Path) -> None:
    write_e4(tmp_path / "p1")
    (tmp_path / "p1" / "EDA.csv").write_text("")
    (tmp_path / "p1" / "TEMP.csv").unlink()
    (tmp_path / "p1" / "BVP.csv").unlink()
    assert open_one(tmp_path / "p1").recordings[0].channel_names == ("ACC_X", "ACC_Y", "ACC_Z")


def test_draft_says_what_was_recognized(tmp_path: Path, capsys) -> None:
    for name in ("p1", "p2"):
        write_e4(tmp_path / name)
    assert draft_manifest(tmp_path) == {
        "recordings": [{"file": "p1/BVP.csv"}, {"file": "p2/BVP.csv"}]
    }
    assert prepare(["folder", f"--source={tmp_path}", "--draft_manifest"]) == 0
    out = capsys.readouterr().out
    assert "recognized: 2 Empatica E4 (folder) (p1/BVP.csv, p2/BVP.csv)" in out
    assert len(open_folder(tmp_path).recordings) == 2


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("EDA.csv", lambda t: t.replace("4.000000", "-4.000000", 1), "EDA.csv begins with"),
        ("EDA.csv", lambda t: t + "x\n", r"EDA.csv, line 83: column 1 reads 'x', where a number"),
        ("EDA.csv", lambda t: t.replace("4.000000\n", "4.000000\n\n", 1), "line 3 is empty"),
        ("EDA.csv", lambda t: t + "\n1\n", r"EDA.csv, line 83: column 1 reads 'nan'"),
        ("ACC.csv", lambda t: "\n".join(x.partition(",")[0] for x in t.splitlines()), "3 columns"),
        ("ACC.csv", lambda t: t.replace("32.000000", "16.000000", 1), "ACC.csv begins with"),
        ("TEMP.csv", lambda t: t.replace("1600000000", "1700000000", 1), "no time in common"),
        ("BVP.csv", lambda t: t.replace(".", "\0.", 9), "BVP.csv has NUL bytes"),
        ("EDA.csv", lambda t: t.replace("4.000000", "4.017000", 1), "no frame of at most"),
    ],
)
def test_broken_exports_are_named(name: str, change, message: str, tmp_path: Path) -> None:
    folder = tmp_path / "p1"
    write_e4(folder)
    (folder / name).write_text(change((folder / name).read_text()))
    with pytest.raises(DataError, match=message) as error:
        read_all(open_folder(folder))
    assert str(folder) in str(error.value)


def test_a_later_sensor_alone_is_no_recording(tmp_path: Path) -> None:
    write_e4(tmp_path)
    with pytest.raises(DataError, match=r"one sensor of an Empatica E4, .* list BVP.csv only"):
        open_files([tmp_path / "ACC.csv"])


def test_zips_that_are_none_or_hold_two_or_expand(tmp_path: Path) -> None:
    write_e4(tmp_path / "p1")
    pack(tmp_path / "p1", tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.write(tmp_path / "p1" / "BVP.csv", "again/BVP.csv")
    with pytest.raises(DataError, match=r"contains BVP\.csv twice"):
        open_files([tmp_path / "a.zip"])
    (tmp_path / "b.zip").write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(DataError, match=r"ending in '\.zip' cannot be read"):
        open_files([tmp_path / "b.zip"])
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("EDA.csv", "1600000000\n4\n1\n")
        with archive.open("BVP.csv", "w", force_zip64=True) as member:
            member.write(b"1600000000\n64\n")
            for _ in range(300):
                member.write(b"0\n" * 2**19)
    (tmp_path / "c.zip").write_bytes(data.getvalue())
    with pytest.raises(DataError, match=r"c.zip, member 'BVP.csv' unpacks from"):
        open_files([tmp_path / "c.zip"])


@pytest.mark.parametrize("name", ["vendor/empatica", "stress_predict/native_e4/S01"])
def test_real_folders(name: str, shared: Path) -> None:
    folder = real_exports(shared, name)
    assert_e4(open_folder(folder), folder)


def test_real_zip(shared: Path) -> None:
    folder = real_exports(shared, "wesad_e4/native/S2")
    source = open_folder(folder, skip_unreadable=True)  # a questionnaire lies beside it
    with zipfile.ZipFile(folder / "S2_E4_Data.zip") as archive:
        tables = {name: pd.read_csv(archive.open(f"{name}.csv"), header=None) for name in RATES}
    info = source.recordings[0]
    assert (info.record_id, info.channel_names) == ("S2_E4_Data", CHANNELS)
    wanted = expected(tables)
    assert info.num_samples == wanted.shape[1]
    np.testing.assert_allclose(
        source.read(0, 5000, 9000), wanted[:, 5000:9000], rtol=1e-4, atol=1e-4
    )

"""Exports of watches, straps and headbands: files written by their descriptions, value by value."""

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


def test_packets_lost_here_and_there_are_reported(tmp_path: Path, caplog) -> None:
    # 2999 packets of 12 samples, of which 19 are lost: 0.6 % slower.
    packets = np.array([p for p in range(3000) if p % 150 != 149])
    times = (packets[:, None] * 12 + np.arange(12)).ravel() / 256
    frame = pd.DataFrame(RNG.normal(size=(len(times), 4)), columns=["TP9", "AF7", "AF8", "TP10"])
    frame.insert(0, "timestamps", (1.7e9 + times).round(3))
    frame.to_csv(tmp_path / "EEG_recording.csv", index=False)
    assert open_folder(tmp_path).recordings[0].sampling_rate_hz == 256
    assert "gives 254.378 samples per second instead of 256: about 228 samples" in caplog.text


def test_muselsl(tmp_path: Path) -> None:
    values = RNG.normal(size=(2560, 5)).round(3)
    frame = pd.DataFrame(values, columns=["TP9", "AF7", "AF8", "TP10", "Right AUX"])
    frame.insert(0, "timestamps", (1.7e9 + np.arange(2560) / 256).round(3))
    frame.to_csv(tmp_path / "EEG_recording.csv", index=False)
    source = open_one(tmp_path)
    assert source.recordings[0].sampling_rate_hz == 256
    np.testing.assert_allclose(read_all(source), values[:, :4].T.astype(np.float32))


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


APPLE = """Name,Jane Doe
Date of Birth,1 Jan 1950
Recorded Date,2020-01-01 10:00:00 +0100
Sample Rate,512 hertz


Lead,Lead I
Unit,µV


"""


def test_apple_watch(tmp_path: Path) -> None:
    values = RNG.normal(scale=100, size=900).round(3)
    path = tmp_path / "ecg_2020-01-01.csv"
    path.write_text(APPLE + "".join(f"{x}\n" for x in values), encoding="utf-8")
    source = open_one(tmp_path)
    info = source.recordings[0]
    assert (info.channel_names, info.units, info.sampling_rate_hz) == (("I",), ("uV",), 512)
    np.testing.assert_array_equal(read_all(source)[0], values.astype(np.float32))
    assert str(source.origin(0)).startswith("Apple Watch ECG CSV: rate from its key 'Sample Rate'")
    path.write_text(APPLE + "1.5\nx\n")
    with pytest.raises(DataError) as error:
        open_folder(tmp_path)
    assert "Doe" not in str(error.value)


def test_real_apple_watch(shared: Path) -> None:
    folder = shared / "faults" / "inputs" / "csv_apple_watch"
    if not folder.is_dir():
        pytest.skip(f"no export in {folder}")
    (path,) = folder.glob("*.csv")
    wanted = np.loadtxt(path, skiprows=13, dtype=np.float32, encoding="utf-8")
    np.testing.assert_array_equal(read_all(open_folder(folder))[0], wanted)

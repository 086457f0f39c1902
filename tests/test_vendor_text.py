"""Text exports (BioSPPy, OpenSignals, Shimmer) against numpy and pandas, on files and real ones."""

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.vendor_files import open_one, read_all, real_exports

COUNTS = np.random.default_rng(3).integers(0, 1024, size=(900, 2))


def write_biosppy(folder: Path, labels="ECG\tResp", more="# Resolution:= 12\n", rate="250.00"):
    head = f"# Simple Text Format\n# Sampling Rate (Hz):= {rate}\n{more}# Labels:= {labels}\n"
    rows = "".join("\t".join(f"{x:.1f}" for x in row) + "\n" for row in COUNTS)
    (folder / "r.txt").write_text(head + rows)


def test_biosppy(tmp_path: Path, caplog) -> None:
    write_biosppy(tmp_path)
    source = open_one(tmp_path)
    info = source.recordings[0]
    assert (info.channel_names, info.units) == (("ECG", "RESP"), ("", ""))
    assert info.sampling_rate_hz == 250
    np.testing.assert_array_equal(read_all(source), COUNTS.T)
    assert "counts of a converter (12 bits)" in caplog.text
    packed = gzip.compress((tmp_path / "r.txt").read_bytes())
    (tmp_path / "r.txt").unlink()
    (tmp_path / "r.txt.gz").write_bytes(packed)
    np.testing.assert_array_equal(read_all(open_folder(tmp_path)), COUNTS.T)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate": "fast"}, "'# Sampling Rate .Hz.:=' reads 'fast'; a number"),
        ({"rate": "nan"}, "reads 'nan'"),
        ({"rate": "0.01"}, "0.01 Hz of ECG, Resp is not plausible"),
        ({"labels": "ECG"}, "names 1 columns, line 5 has 2"),
        ({"labels": "ECG\tECG"}, "2 channels named 'ECG'"),
    ],
)
def test_broken_biosppy(change: dict, message: str, tmp_path: Path) -> None:
    write_biosppy(tmp_path, **change)
    with pytest.raises(DataError, match=message) as error:
        open_folder(tmp_path)
    assert str(tmp_path / "r.txt") in str(error.value)
    path = tmp_path / "r.txt"
    write_biosppy(tmp_path)
    path.write_text(path.read_text() + "1.0\tx\n")
    with pytest.raises(DataError, match=r"line 905: column 'Resp' has 'x' where a number"):
        open_folder(tmp_path)
    path.write_text("# Simple Text Format\n# Sampling Rate (Hz):= 250\n# Labels:= ECG\n")
    with pytest.raises(DataError, match=r"r\.txt"):
        open_folder(tmp_path)


def write_open_signals(folder: Path, lost: int = 0, **changes) -> None:
    """Write a file of a BITalino: a counter of four bits, four digital lines, A1 and A2."""
    device = {
        "sensor": ["ECG", "EDA"], "device name": "x", "sync interval": 2, "channels": [1, 2],
        "column": ["nSeq", "I1", "I2", "O1", "O2", "A1", "A2"], "sampling rate": 1000,
        "label": ["A1", "A2"], "resolution": [4, 1, 1, 1, 1, 10, 10], "device": "bitalino",
    } | changes  # fmt: skip
    head = f"# OpenSignals Text File Format\n# {json.dumps({'20:16': device})}\n# EndOfHeader\n"
    rows = [f"{(i + lost * (i > 400)) % 16}\t0\t0\t1\t1\t{a}\t{b}\t\n" for i, (a, b) in
            enumerate(COUNTS)]  # fmt: skip
    (folder / "o.txt").write_text(head + "".join(rows))


def test_open_signals(tmp_path: Path, caplog) -> None:
    write_open_signals(tmp_path)
    source = open_one(tmp_path)
    info = source.recordings[0]
    assert (info.channel_names, info.units) == (("ECG", "EDA"), ("mV", ""))
    assert info.sampling_rate_hz == 1000
    signal = read_all(source)
    # Data sheet of the sensor: ECG(V) = (ADC / 2^n - 1/2) * VCC / gain, VCC 3.3 V, gain 1100.
    ecg = (COUNTS[:, 0] / 2**10 - 0.5) * 3.3 / 1100 * 1000
    np.testing.assert_allclose(signal[0], ecg, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(signal[1], COUNTS[:, 1])
    assert "EDA are counts of a converter" in caplog.text
    assert "sample numbers skip" not in caplog.text


@pytest.mark.parametrize(
    ("change", "names", "units"),
    [
        ({"sensor": ["ECG", "ECG"]}, ("ECG A1", "ECG A2"), ("mV", "mV")),
        ({"sensor": ["RAW", "ECGBITREV"]}, ("input A1", "ECG"), ("", "mV")),
        ({"device": "channeller"}, ("ECG", "EDA"), ("", "")),
        ({"convertedValues": 1}, ("ECG", "EDA"), ("", "")),
        ({"resolution": [10, 10]}, ("ECG", "EDA"), ("mV", "")),
    ],
)
def test_open_signals_of_other_boards(change, names, units, tmp_path: Path) -> None:
    write_open_signals(tmp_path, **change)
    info = open_folder(tmp_path).recordings[0]
    assert (info.channel_names, info.units) == (names, units)


def test_lost_samples_of_open_signals_are_reported(tmp_path: Path, caplog) -> None:
    write_open_signals(tmp_path, lost=3)
    open_folder(tmp_path)
    assert "its sample numbers skip at 1 lines, where samples may be lost" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sampling rate": "fast"}, "'sampling rate' of its head reads fast; a number"),
        ({"column": "nSeq"}, "'column' of its head reads nSeq; a list of texts"),
        ({"label": ["A1", "A9"]}, "2 labels for 2 sensors, A9 of them not among"),
        ({"column": ["nSeq", "A1", "A2"]}, "line 4: 7 cells; expected 3, the columns of its head"),
    ],
)
def test_broken_open_signals(change: dict, message: str, tmp_path: Path) -> None:
    write_open_signals(tmp_path, **change)
    with pytest.raises(DataError, match=message) as error:
        open_folder(tmp_path)
    assert str(tmp_path / "o.txt") in str(error.value)


def test_open_signals_without_json_or_of_two_devices(tmp_path: Path) -> None:
    path = tmp_path / "o.txt"
    for head, message in (
        ('# {"a": {}, "b": {}}\n# EndOfHeader\n', "contains 2 devices"),
        ("# {'a'\n# EndOfHeader\n", "line 2: expected a JSON object"),
        (f"# {'[' * 90_000}\n# EndOfHeader\n", "line 2: expected a JSON object"),
        ("1\t2\n" * 50, "line 2: expected a JSON object"),
    ):
        path.write_text(f"# OpenSignals Text File Format\n{head}1\t2\n")
        with pytest.raises(DataError, match=message):
            open_folder(tmp_path)


SHIMMER = {
    "Timestamp_Unix_CAL": "ms", "Accel_LN_X_CAL": "m/(s^2)", "Accel_WR_X_CAL": "m/(s^2)",
    "Battery_CAL": "mV", "ECG_LL-RA_24BIT_CAL": "mV", "ECG_LL-RA_24BIT_RAW": "no_units",
    "GSR_Skin_Conductance_CAL": "uS", "Mag_X_CAL": "local_flux",
}  # fmt: skip


def write_shimmer(folder: Path, delimiter=";", first='"sep=;"\n', jump_s=0.0) -> np.ndarray:
    """Write 900 samples at 128 Hz, stamped up to 30 ms late by the receiver."""
    rng = np.random.default_rng(4)
    values = rng.normal(size=(900, len(SHIMMER)))
    late = rng.uniform(0, 30, size=900)
    values[:, 0] = 1.6e12 + np.arange(900) / 128 * 1000 + late + 1000 * jump_s * (
        np.arange(900) > 500
    )  # fmt: skip
    rows = [[f"Shimmer_40AC_{name}" for name in SHIMMER], list(SHIMMER.values())]
    rows += [[f"{x:.4f}" for x in row] for row in values]
    lines = [delimiter.join(row) + delimiter for row in rows]
    (folder / "s.csv").write_text(first + "\n".join(lines) + "\n")
    return values.astype(np.float32)


@pytest.mark.parametrize(("delimiter", "first"), [(";", '"sep=;"\n'), ("\t", ""), (",", "sep=,\n")])
def test_shimmer(delimiter: str, first: str, tmp_path: Path, caplog) -> None:
    values = write_shimmer(tmp_path, delimiter, first)
    source = open_one(tmp_path)
    info = source.recordings[0]
    assert info.channel_names == ("ACC_X", "II", "EDA")
    assert info.units == ("m/s^2", "mV", "uS")
    assert info.sampling_rate_hz == pytest.approx(128, rel=0.01)
    np.testing.assert_allclose(read_all(source), values[:, [1, 4, 6]].T, atol=1e-4)
    assert "the columns 'Accel_WR_X', 'Mag_X' are not used" in caplog.text
    manifest = {"recordings": [{"file": "s.csv", "channels": {"Mag_X": "m", "II": "II"},
                                "sampling_rate_hz": 128}]}  # fmt: skip
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    source = open_folder(tmp_path)
    assert source.recordings[0].sampling_rate_hz == 128
    np.testing.assert_allclose(read_all(source), values[:, [7, 4]].T, atol=1e-4)


def test_broken_shimmer(tmp_path: Path) -> None:
    write_shimmer(tmp_path, jump_s=2.0)
    with pytest.raises(DataError, match=r"line 505: column .*Timestamp_Unix_CAL' jumps by 2"):
        open_folder(tmp_path)
    text = (tmp_path / "s.csv").read_text().replace("Timestamp_Unix", "Timestamp_Sync_Unix")
    (tmp_path / "s.csv").write_text(text.replace("m/(s^2);", "", 2))
    with pytest.raises(DataError, match=r"s\.csv"):
        open_folder(tmp_path)


def test_real_files(shared: Path) -> None:
    folder = real_exports(shared, "vendor")
    source = open_folder(folder / "biosppy")
    for index, name in enumerate(("ecg", "eeg_ec", "ppg", "resp")):
        wanted = np.loadtxt(folder / "biosppy" / f"{name}.txt", dtype=np.float32)
        assert source.recordings[index].sampling_rate_hz == (125 if "eeg" in name else 1000)
        np.testing.assert_array_equal(read_all(source, index)[0], wanted)
    source = open_folder(folder / "opensignals")
    raw = np.loadtxt(folder / "opensignals" / "SampleECG.txt")[:, 5]
    wanted = (raw / 1024 - 0.5) * 3.3 / 1100 * 1000
    np.testing.assert_allclose(read_all(source)[0], wanted, rtol=1e-5, atol=1e-6)
    path = folder / "shimmer" / "read_test_data.csv"
    frame = pd.read_csv(path, sep=";", skiprows=[0, 2]).dropna(axis=1, how="all")
    source = open_folder(folder / "shimmer")
    names = ["Accel_LN_X", "Accel_LN_Y", "Accel_LN_Z", "GSR_Skin_Conductance",
             "Gyro_X", "Gyro_Y", "Gyro_Z"]  # fmt: skip
    wanted = frame[[f"Shimmer_40AC_{name}_CAL" for name in names]].to_numpy(np.float32)
    np.testing.assert_array_equal(read_all(source), wanted.T)
    times = frame["Shimmer_40AC_Timestamp_Unix_CAL"].to_numpy()
    mean_hz = (len(times) - 1) * 1000 / (times[-1] - times[0])
    assert source.recordings[0].sampling_rate_hz == pytest.approx(mean_hz)

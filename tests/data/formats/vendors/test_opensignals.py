"""Text exports of OpenSignals against the values written."""

import json
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.vendor_files import open_one, read_all

COUNTS = np.random.default_rng(3).integers(0, 1024, size=(900, 2))


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

"""The layout of BIDMC: tables and records."""

import warnings

import numpy as np
import pytest

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.registry import get_layout
from tests.layouts import debug_run, only, prepare
from tests.preparation.layouts.records import marks_of, waves, write_record

RNG = np.random.default_rng(0)

with warnings.catch_warnings():
    # wfdb 4.3 calls pandas 3.1 with a keyword that it deprecates, and again where it writes.
    warnings.filterwarnings("ignore", message="The inplace keyword")
    import wfdb

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")


def write_bidmc(
    folder, number="07", subject="s01241", age="65", breaths="3,4\n10,NaN\n", seconds=10
):
    folder.mkdir(parents=True, exist_ok=True)
    signal = np.round(waves(3, seconds * 125), 5)
    rows = np.column_stack([np.arange(seconds * 125) / 125, signal.T])
    lines = [",".join(f"{value:.5g}" for value in row) for row in rows]
    start = f"bidmc_{number}"
    (folder / f"{start}_Signals.csv").write_text("\n".join(["Time [s], II, PLETH, ABP", *lines]))
    (folder / f"{start}_Fix.txt").write_text(
        f"{start}\nAge: {age}\nGender: M\nLocation: micu\nMIMIC II matched wdb ID: {subject}\n"
    )
    (folder / f"{start}_Numerics.csv").write_text(
        "Time [s], HR, PULSE, RESP, SpO2\n-0,93,92,16,NaN\n1,95,92,NaN,NaN\n"
    )
    (folder / f"{start}_Breaths.csv").write_text(
        f"breaths ann1 [signal sample no], breaths ann2 [signal sample no]\n{breaths}"
    )
    return np.array([line.split(",")[1:] for line in lines], np.float32).T


@pytest.mark.parametrize("inner", ["", "bidmc_csv"])
def test_bidmc_tables(tmp_path, inner):
    written = write_bidmc(tmp_path / inner)
    ref, recording = only(get_layout("bidmc"), tmp_path)
    assert (ref.record_id, ref.subject_id) == ("bidmc_07", "s01241")
    np.testing.assert_array_equal(recording.signal, written)
    assert recording.channels == ("II", "PPG", "ABP")
    assert recording.units == ("mV", "", "mmHg")
    assert recording.sampling_rate_hz == 125
    # Samples are counted from 1 in the source.
    assert marks_of(recording, "breath") == [(2, 3, 0), (3, 4, 1), (9, 10, 0)]
    assert recording.attributes == {
        "age": 65.0,
        "sex": "male",
        "location": "micu",
        "heart_rate_bpm": 94.0,
        "respiration_rate_bpm": 16.0,
    }


@pytest.mark.parametrize("age", ["90+", "NaN"])
def test_bidmc_ages_that_are_no_numbers(tmp_path, age):
    write_bidmc(tmp_path, age=age)
    (ref,) = get_layout("bidmc").find(tmp_path)
    assert ref.details.get("age") == {"90+": "90+", "NaN": None}[age]


def test_bidmc_hostile_tables(tmp_path):
    layout = get_layout("bidmc")
    write_bidmc(tmp_path, breaths="3,4\n1251,NaN\n")
    with pytest.raises(DataError, match=r"Breaths.csv has a breath at sample 1250"):
        only(layout, tmp_path)
    write_bidmc(tmp_path, breaths="3,four\n")
    with pytest.raises(DataError, match=r"Breaths.csv, line 2 has 'four' where a number"):
        only(layout, tmp_path)
    write_bidmc(tmp_path, subject="unknown")
    with pytest.raises(DataError, match=r"Fix.txt names the subject 'unknown'"):
        layout.find(tmp_path)
    write_bidmc(tmp_path)
    (tmp_path / "bidmc_07_Numerics.csv").unlink()
    with pytest.raises(DataError, match=r"Numerics.csv is missing"):
        only(layout, tmp_path)
    write_bidmc(tmp_path)
    signals = tmp_path / "bidmc_07_Signals.csv"
    text = signals.read_text()
    signals.write_text(text.replace("\n8,", "\n8,bad", 1))
    with pytest.raises(UnreadableError, match=r"column 'II' has 'bad"):
        only(layout, tmp_path)
    signals.write_text("\n".join(text.splitlines()[:700] + text.splitlines()[750:]))
    with pytest.raises(UnreadableError, match="not uniform"):
        only(layout, tmp_path)
    signals.write_text(text)
    (tmp_path / "bidmc_07_Fix.txt").write_text("bidmc_08\nMIMIC II matched wdb ID: s01241\n")
    with pytest.raises(DataError, match=r"describes 'bidmc_08'; its name implies 'bidmc_07'"):
        layout.find(tmp_path)


def write_bidmc_record(folder, comment):
    signal = waves(2, 1250)
    write_record(folder, "bidmc07", signal, ["II,", "PLETH,"], ["mV", "NU"], comments=[comment])
    numerics = np.array([[90.0, 92.0], [15.0, 17.0], [98.0, 99.0]])
    names = ["HR,", "RESP,", "SpO2,"]
    write_record(folder, "bidmc07n", numerics, names, ["bpm", "pm", "%"], rate_hz=1.0)
    wfdb.wrann(
        "bidmc07",
        "breath",
        sample=np.array([2, 3, 1200]),
        symbol=['"'] * 3,
        chan=np.array([1, 1, 1]),
        aux_note=["ann1", "ann2", "ann1"],
        write_dir=str(folder),
    )
    return signal


BIDMC_COMMENT = (
    "<age>: 90+ <sex>: F <location>: micu <source>: https://physionet.org/physiobank/database/"
    "mimic2wdb/matched/s01241/ <data segment>: 3195<modifications>: none"
)


def test_bidmc_records(tmp_path):
    written = write_bidmc_record(tmp_path, BIDMC_COMMENT)
    ref, recording = only(get_layout("bidmc/wfdb"), tmp_path)
    assert (ref.record_id, ref.subject_id) == ("bidmc07", "s01241")
    np.testing.assert_allclose(recording.signal, written, atol=0.5 / 200 + 1e-6)
    assert recording.channels == ("II", "PPG")
    assert recording.units == ("mV", "")
    assert marks_of(recording, "breath") == [(2, 3, 0), (3, 4, 1), (1200, 1201, 0)]
    assert recording.attributes == {
        "age": "90+",
        "sex": "female",
        "location": "micu",
        "heart_rate_bpm": 91.0,
        "respiration_rate_bpm": 16.0,
        "spo2_percent": 98.5,
    }
    (tmp_path / "bidmc07.breath").unlink()
    assert only(get_layout("bidmc/wfdb"), tmp_path)[1].annotations == {}


def test_bidmc_hostile_records(tmp_path):
    layout = get_layout("bidmc/wfdb")
    write_bidmc_record(tmp_path, "<age>: 65")
    with pytest.raises(DataError, match=r"does not name the subject"):
        layout.find(tmp_path)
    write_bidmc_record(tmp_path, BIDMC_COMMENT)
    (tmp_path / "bidmc07.breath").write_bytes((tmp_path / "bidmc07.breath").read_bytes()[:-4])
    with pytest.raises(UnreadableError, match=r"no end marker; it is truncated"):
        only(layout, tmp_path)
    data = (tmp_path / "bidmc07.dat").read_bytes()
    (tmp_path / "bidmc07.dat").write_bytes(data[:-2] + b"xy")
    with pytest.raises(UnreadableError, match=r"checksum"):
        only(layout, tmp_path)


def test_bidmc_as_published(shared):
    source = shared / "data" / "bidmc"
    layout = get_layout("bidmc")
    refs = layout.find(source)
    assert [ref.subject_id for ref in refs] == ["s01241", "s01795", "s01840"]
    with np.load(source / "bidmc_125hz.npz") as collected:
        for row, ref in enumerate(refs):
            recording = layout.read(source, ref)
            for column, channel in enumerate(("PPG", "II", "RESP")):
                np.testing.assert_array_equal(
                    recording.signal[recording.channels.index(channel)],
                    collected["X"][row, :, column],
                )
            assert recording.attributes["age"] == float(collected["age"][row])
            # Two subjects who mark the same breaths agree to a quarter of a second.
            annotations = recording.annotations["breath"]
            first, second = (
                annotations.start[annotations.label == annotator] for annotator in (0, 1)
            )
            apart = np.abs(first[:, None] - second[None]).min(axis=1)
            assert np.median(apart) < 0.25 * recording.sampling_rate_hz
            rate_bpm = 60 * recording.sampling_rate_hz / np.median(np.diff(first))
            assert abs(rate_bpm - recording.attributes["respiration_rate_bpm"]) < 3


def test_a_debug_run_learns_respiration_rates(tmp_path):
    for subject in range(10):
        folder, record = tmp_path / "raw", f"bidmc_{subject:02d}"
        write_bidmc(folder, f"{subject:02d}", f"s{subject:05d}", seconds=40)
        rates = f"Time [s], HR, PULSE, RESP, SpO2\n0,93,92,{10 + subject},NaN\n"
        (folder / f"{record}_Numerics.csv").write_text(rates)
    prepare("bidmc", tmp_path / "raw", tmp_path / "data")
    evaluation = debug_run("bidmc", tmp_path / "data", tmp_path / "run")
    assert evaluation["title"] == "attribute:respiration_rate_bpm on bidmc"
    assert evaluation["evaluations"]["test"]["kind"] == "regression"

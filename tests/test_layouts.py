"""Layouts of clinical data sets give what their files hold, and reject files that they do not."""

import datetime
import pickle
import shutil
import warnings

import edfio
import numpy as np
import pytest
from scipy import io as scipy_io

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.wfdb_header import read_header
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.aux_notes import read_notes
from physio_mae_jax.preparation.registry import LAYOUTS, get_layout

RNG = np.random.default_rng(0)

with warnings.catch_warnings():
    # wfdb 4.3 calls pandas 3.1 with a keyword that it deprecates, and again where it writes.
    warnings.filterwarnings("ignore", message="The inplace keyword")
    import wfdb

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")


def write_record(folder, name, signal, channels, units, rate_hz=125.0, comments=()):
    """Write signal [M, n] as 16-bit WFDB at 200 units a value; half of one is the tolerance."""
    folder.mkdir(parents=True, exist_ok=True)
    wfdb.wrsamp(
        name,
        fs=rate_hz,
        units=list(units),
        sig_name=list(channels),
        p_signal=np.asarray(signal, np.float64).T,
        fmt=["16"] * len(signal),
        adc_gain=[200.0] * len(signal),
        baseline=[0] * len(signal),
        comments=list(comments),
        write_dir=str(folder),
    )


def waves(num_channels, num_samples, scale=1.0):
    return scale * RNG.normal(size=(num_channels, num_samples))


def only(layout, source):
    (ref,) = layout.find(source)
    return ref, layout.read(source, ref)


def marks_of(recording, task):
    annotations = recording.annotations[task]
    return list(
        zip(
            annotations.start.tolist(),
            annotations.stop.tolist(),
            annotations.label.tolist(),
            strict=True,
        )
    )


@pytest.mark.parametrize("name", [f"{n}/{v}" for n, variants in LAYOUTS.items() for v in variants])
def test_layouts_are_picklable_and_name_themselves(name):
    layout = get_layout(name.rstrip("/"))
    assert pickle.loads(pickle.dumps(layout)) == layout
    assert layout.name + (f"/{layout.variant}" if layout.variant else "") == name.rstrip("/")
    assert layout.description
    assert layout.citation
    assert layout.license


@pytest.mark.parametrize("name", [f"{n}/{v}" for n, variants in LAYOUTS.items() for v in variants])
def test_an_empty_folder_is_rejected_by_every_layout(name, tmp_path):
    with pytest.raises(DataError, match=str(tmp_path)):
        get_layout(name.rstrip("/")).find(tmp_path)


# BIDMC


def write_bidmc(folder, number="07", subject="s01241", age="65", breaths="3,4\n10,NaN\n"):
    folder.mkdir(parents=True, exist_ok=True)
    signal = np.round(waves(3, 1250), 5)
    rows = np.column_stack([np.arange(1250) / 125, signal.T])
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
    with pytest.raises(UnreadableError, match=r"no end; it is truncated"):
        only(layout, tmp_path)
    data = (tmp_path / "bidmc07.dat").read_bytes()
    (tmp_path / "bidmc07.dat").write_bytes(data[:-2] + b"xy")
    with pytest.raises(UnreadableError, match=r"checksum"):
        only(layout, tmp_path)


def test_aux_notes_equal_those_of_wfdb(tmp_path):
    samples = np.sort(RNG.choice(3_000_000, 200, replace=False))
    notes = [("", "a", "ann2", "three words long")[i] for i in RNG.integers(0, 4, 200)]
    wfdb.wrann(
        "x",
        "atr",
        sample=samples,
        symbol=["N"] * 200,
        aux_note=notes,
        fs=100,
        write_dir=str(tmp_path),
    )
    read = wfdb.rdann(str(tmp_path / "x"), "atr")
    assert read_notes(tmp_path / "x.atr") == list(zip(samples.tolist(), notes, strict=True))
    assert read.sample.tolist() == samples.tolist()


# MIMIC-III


def write_mimic(root, channels=("II", "PLETH"), units=("mV", "NU"), num_samples=2000):
    folder = root / "p00" / "p000020"
    signal = waves(len(channels), num_samples)
    write_record(folder, "3544749_0001", signal, channels, units)
    return folder, signal


def test_mimic3_segments(tmp_path):
    folder, written = write_mimic(
        tmp_path, ("ABP", "ART", "V", "PLETH"), ("mmHg", "mmHg", "mV", "NU")
    )
    write_record(folder, "3544749_0002", waves(1, 1249), ["II"], ["mV"])
    write_record(folder, "3544749_0003", waves(1, 2000), ["ABP"], ["mmHg"])
    write_record(folder, "3544749n", waves(1, 2000), ["II"], ["mV"])
    (folder / "3544749_layout.hea").write_text("3544749_layout 1 125 0\n~ 0 200/mV 8 0 0 0 0 II\n")
    (folder / "p000020-2183-04-28-17-47.hea").write_text(
        "p000020-2183-04-28-17-47/3 2 125 9000\n3544749_layout 0\n3544749_0001 2000\n~ 99\n"
    )
    ref, recording = only(get_layout("mimic3"), tmp_path)
    assert (ref.record_id, ref.subject_id) == ("p000020/3544749_0001", "p000020")
    np.testing.assert_allclose(recording.signal, written, atol=0.5 / 200 + 1e-6)
    assert recording.channels == ("ABP", "ART", "V", "PPG")
    assert recording.units == ("mmHg", "mmHg", "mV", "")
    assert recording.conversions == ()
    # A folder of one subject is a source too.
    assert get_layout("mimic3").find(folder)[0].record_id == ref.record_id


def test_mimic3_channels_of_a_lower_rate_are_interpolated_and_said_so(tmp_path):
    folder = tmp_path / "p000020"
    folder.mkdir()
    fast, slow = RNG.integers(-99, 99, 8000), RNG.integers(-99, 99, 2000)
    wfdb.wrsamp(
        "1_0001",
        fs=125,
        units=["mV", "NU"],
        sig_name=["II", "PLETH"],
        e_d_signal=[fast, slow],
        samps_per_frame=[4, 1],
        fmt=["16", "16"],
        adc_gain=[200.0, 200.0],
        baseline=[0, 0],
        write_dir=str(folder),
    )
    _, recording = only(get_layout("mimic3"), tmp_path)
    assert recording.sampling_rate_hz == 500
    np.testing.assert_allclose(recording.signal[0], fast / 200, atol=1e-7)
    np.testing.assert_allclose(recording.signal[1, ::4], slow / 200, atol=1e-7)
    assert recording.conversions == ("PLETH: 125 to 500 Hz by linear interpolation",)


def test_mimic3_hostile_segments(tmp_path):
    layout = get_layout("mimic3")
    folder, _ = write_mimic(tmp_path)
    data = (folder / "3544749_0001.dat").read_bytes()
    (folder / "3544749_0001.dat").write_bytes(data[:4000])
    with pytest.raises(UnreadableError, match=r"is truncated"):
        only(layout, tmp_path)
    (folder / "3544749_0001.dat").unlink()
    with pytest.raises(UnreadableError, match=r"3544749_0001.dat"):
        only(layout, tmp_path)
    (folder / "3544749_0001.hea").write_text("3544749_0001 2 125 2000\n3544749_0001.dat 16\n")
    with pytest.raises(UnreadableError, match=r"announces 2 signals and describes 1"):
        only(layout, tmp_path)
    shutil.move(folder, tmp_path / "p00" / "3544749")
    with pytest.raises(
        DataError, match=r"folder '3544749'; expected a folder named after a subject"
    ):
        layout.find(tmp_path)


def test_headers_follow_the_specification(tmp_path):
    path = tmp_path / "a.hea"
    path.write_text(
        "# first\na 3 125/1000(0) 50 10:00:00\n"
        "a.dat 16x2:3+24 200(5)/uV 12 0 -3 77 0 ECG lead, II\n"
        "a.dat 80\na.dat 212 100 12 0 0 9\n#<age>: 1\n"
    )
    header = read_header(path)
    assert header.channels == ("ECG lead, II", "", "")
    assert header.units == ("uV", "mV", "mV")
    assert [signal.samples_per_frame for signal in header.signals] == [2, 1, 1]
    assert [signal.checksum for signal in header.signals] == [77, None, 9]
    assert header.comments == ("first", "<age>: 1")
    assert (header.num_frames, header.frame_rate_hz, header.seconds) == (50, 125, 0.4)
    for text in ("", "a\n", "a x 125 50\n", "a 1 125 50\na.dat no\n", "a 1 0 50\na.dat 16\n"):
        path.write_text(text)
        with pytest.raises(UnreadableError, match=r"a\.hea"):
            read_header(path)


def perform_signals(num_samples=1250):
    return np.round(waves(3, num_samples), 6)


def write_perform_table(folder, name, signal, subject="p000608", rate="125"):
    rows = np.column_stack([np.arange(signal.shape[1]) / 125, signal.T])
    lines = [",".join("NaN" if np.isnan(v) else f"{v:.10g}" for v in row) for row in rows]
    (folder / f"{name}_data.csv").write_text("\n".join(["Time,PPG,ECG,resp", *lines, ""]))
    (folder / f"{name}_fix.txt").write_text(
        f"{name}\nSampling frequency: {rate} Hz\nOriginal Subject ID: {subject}\n"
        "Original Recording ID: 3146123\nGroup: \n"
    )


def write_perform_mat(path, signals, **fix):
    elements = np.empty((1, len(signals)), [(k, object) for k in ("ppg", "ekg", "imp", "fix")])
    for element, signal in zip(elements[0], signals, strict=True):
        for key, values in zip(("ppg", "ekg", "imp"), signal, strict=False):
            element[key] = {"v": values[:, None], "fs": 125.0}
        if len(signal) == 2:
            element["imp"] = np.zeros((0, 0))
        element["fix"] = {"subj_id": "p000608", "rec_id": "3146123", **fix}
    scipy_io.savemat(path, {"data": elements}, do_compression=True)


def test_mimic_perform_tables(tmp_path):
    layout = get_layout("mimic3/perform")
    signal = perform_signals()
    signal[0, 7] = np.nan
    names = ("mimic_perform_af_001", "mimic_perform_non_af_001", "mimic_perform_train_all_001")
    for name in names:
        write_perform_table(tmp_path, name, signal)
    # The same in the other form is not taken twice.
    write_perform_mat(tmp_path / "mimic_perform_af_data.mat", [signal])
    refs = {ref.record_id: ref for ref in layout.find(tmp_path)}
    assert set(refs) == set(names)
    rhythms = []
    for name in names:
        recording = layout.read(tmp_path, refs[name])
        np.testing.assert_array_equal(recording.signal, signal.astype(np.float32))
        assert recording.channels == ("PPG", "ECG", "RESP")
        assert recording.units == ("", "mV", "")
        assert recording.sampling_rate_hz == 125
        assert refs[name].subject_id == "p000608"
        rhythms.append({task: values.tolist() for task, values in recording.labels.items()})
    assert rhythms == [{"rhythm": [0, 1]}, {"rhythm": [1, 0]}, {}]


@pytest.mark.parametrize("count", [1, 2])
def test_mimic_perform_mat_files(tmp_path, count):
    layout = get_layout("mimic3/perform")
    signals = [perform_signals(), perform_signals(1000)[:2]][:count]
    write_perform_mat(tmp_path / "mimic_perform_non_af_data.mat", signals)
    refs = layout.find(tmp_path)
    assert [ref.record_id[-3:] for ref in refs] == ["001", "002"][:count]
    for ref, signal in zip(refs, signals, strict=True):
        recording = layout.read(tmp_path, ref)
        np.testing.assert_array_equal(recording.signal, signal.astype(np.float32))
        assert recording.channels == ("PPG", "ECG", "RESP")[: len(signal)]
        assert recording.labels["rhythm"].tolist() == [1, 0]
        assert recording.attributes["original_record"] == "3146123"


def test_mimic_perform_hostile_files(tmp_path):
    layout = get_layout("mimic3/perform")
    path = tmp_path / "mimic_perform_af_data.mat"
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400))
    with pytest.raises(DataError, match=r"MATLAB 7.3 file .* '-v7'"):
        layout.find(tmp_path)
    write_perform_mat(path, [perform_signals()])
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(UnreadableError, match=r"mimic_perform_af_data.mat is cut short"):
        layout.find(tmp_path)
    write_perform_mat(path, [perform_signals()], subj_id="")
    with pytest.raises(DataError, match=r"does not name the subject of mimic_perform_af_001"):
        layout.find(tmp_path)
    scipy_io.savemat(path, {"data": np.arange(3)})
    with pytest.raises(UnreadableError, match=r"no struct array 'data'"):
        layout.find(tmp_path)
    path.unlink()
    write_perform_table(tmp_path, "mimic_perform_af_001", perform_signals(), rate="100")
    with pytest.raises(UnreadableError, match=r"125 samples per second by its times.* states 100"):
        only(layout, tmp_path)
    (tmp_path / "mimic_perform_af_001_fix.txt").unlink()
    with pytest.raises(DataError, match=r"_fix.txt is missing"):
        layout.find(tmp_path)


# CinC 2017


def write_challenge(folder, record, samples, checksum=0):
    folder.mkdir(parents=True, exist_ok=True)
    # The header of a MATLAB 4 matrix of 16-bit integers named 'val'.
    header = np.array([30, 1, len(samples), 0, 4], "<u4").tobytes() + b"val\0"
    (folder / f"{record}.mat").write_bytes(header + samples.astype("<i2").tobytes())
    (folder / f"{record}.hea").write_text(
        f"{record} 1 300 {len(samples)} 05:05:15 1/05/2000 \n"
        f"{record}.mat 16+24 1000/mV 16 0 {samples[0]} {checksum} 0 ECG \n"
    )


def test_cinc2017(tmp_path):
    layout = get_layout("cinc2017")
    written = {}
    for record in ("A00001", "A00002", "A00003", "A00004"):
        written[record] = RNG.integers(-999, 999, 2714)
        write_challenge(tmp_path / "training2017", record, written[record])
    total = int(written["A00004"].sum()) % 65536
    write_challenge(tmp_path / "training2017", "A00004", written["A00004"], checksum=total)
    (tmp_path / "training2017" / "REFERENCE.csv").write_text("A00001,N\nA00002,N\n")
    # The third revision is preferred.
    (tmp_path / "REFERENCE-v3.csv").write_text("A00001,N\nA00002,A\nA00003,O\nA00004,~\n")
    for number, ref in enumerate(layout.find(tmp_path)):
        recording = layout.read(tmp_path, ref)
        assert ref.subject_id == ref.record_id
        np.testing.assert_allclose(recording.signal, written[ref.record_id][None] / 1000, atol=1e-6)
        assert recording.channels == ("I",)
        assert recording.units == ("mV",)
        assert recording.sampling_rate_hz == 300
        assert recording.labels["rhythm"].tolist() == np.eye(4, dtype=int)[number].tolist()
        assert recording.attributes == {"subject_known": False}


def test_cinc2017_hostile_files(tmp_path):
    layout = get_layout("cinc2017")
    write_challenge(tmp_path, "A00001", np.arange(3000) % 50, checksum=1)
    with pytest.raises(DataError, match=r"neither REFERENCE-v3.csv nor REFERENCE.csv"):
        layout.find(tmp_path)
    table = tmp_path / "REFERENCE.csv"
    table.write_text("A00001,X\n")
    with pytest.raises(DataError, match=r"REFERENCE.csv, line 1 reads 'A00001,X'"):
        layout.find(tmp_path)
    table.write_text("A00002,N\n")
    with pytest.raises(DataError, match=r"no row for 1 recordings \(A00001\)"):
        layout.find(tmp_path)
    table.write_text("A00001,N\nA00001,A\n")
    with pytest.raises(DataError, match=r"record id 'A00001' occurs twice"):
        layout.find(tmp_path)
    table.write_text("A00001,N\nA00002,A\n")
    first, second = layout.find(tmp_path)
    with pytest.raises(UnreadableError, match=r"checksum"):
        layout.read(tmp_path, first)
    with pytest.raises(UnreadableError, match=r"A00002.hea"):
        layout.read(tmp_path, second)
    write_challenge(tmp_path, "A00001", np.arange(3000) % 50)
    content = (tmp_path / "A00001.mat").read_bytes()
    (tmp_path / "A00001.mat").write_bytes(content[:-100])
    with pytest.raises(UnreadableError, match=r"A00001.mat is truncated"):
        layout.read(tmp_path, first)
    header = tmp_path / "A00001.hea"
    header.write_text(header.read_text().replace("1000/mV", "1000/uV"))
    with pytest.raises(UnreadableError, match=r"one ECG in mV at 300 Hz is expected"):
        layout.read(tmp_path, first)


# Sleep-EDF


def write_night(folder, night="SC4001", emg_rate=1, stages=None, letter="E", start=(16, 13, 0)):
    folder.mkdir(parents=True, exist_ok=True)
    seconds = 120
    signals = []
    for label, rate in (
        ("EEG Fpz-Cz", 100),
        ("EEG Pz-Oz", 100),
        ("EOG horizontal", 100),
        ("EMG submental", emg_rate),
        ("Temp rectal", 1),
    ):
        data = RNG.uniform(-190, 190, seconds * rate)
        signals.append(
            edfio.EdfSignal(
                data,
                rate,
                label=label,
                physical_dimension="uV",
                physical_range=(-200, 200),
                digital_range=(-2048, 2047),
            )
        )
    begin = datetime.time(16, 13, 0)
    patient = edfio.Patient(sex="F", name="X", additional=["Female_33yr"])
    edfio.Edf(signals, patient=patient, starttime=begin, data_record_duration=30).write(
        folder / f"{night}{letter}0-PSG.edf"
    )
    stages = stages or [(0, 30, "W"), (30, 30, "3"), (60, 30, "4"), (90, 60, "R"), (150, 30, "?")]
    annotations = [
        edfio.EdfAnnotation(onset, length, name if " " in name else f"Sleep stage {name}")
        for onset, length, name in stages
    ]
    edfio.Edf([], annotations=annotations, starttime=datetime.time(*start)).write(
        folder / f"{night}{letter}C-Hypnogram.edf"
    )
    return [signal.data for signal in signals]


def test_sleep_edf(tmp_path):
    written = write_night(tmp_path / "sleep-cassette", "SC4001")
    write_night(tmp_path / "sleep-cassette", "SC4002")
    write_night(tmp_path / "sleep-telemetry", "ST7011", emg_rate=100, letter="J")
    layout = get_layout("sleep_edf")
    refs = layout.find(tmp_path)
    assert [(r.record_id, r.subject_id) for r in refs] == [
        ("SC4001", "SC400"),
        ("SC4002", "SC400"),
        ("ST7011", "ST701"),
    ]
    recording = layout.read(tmp_path, refs[0])
    np.testing.assert_allclose(recording.signal, np.stack(written[:3]), atol=1e-4)
    assert recording.channels == ("EEG_FPZ_CZ", "EEG_PZ_OZ", "EOG")
    assert recording.units == ("uV", "uV", "uV")
    assert recording.sampling_rate_hz == 100
    assert recording.conversions == (
        "EMG submental: excluded, 1 Hz",
        "Temp rectal: excluded, 1 Hz",
    )
    assert recording.attributes == {"study": "cassette", "night": 1, "sex": "female", "age": 33.0}
    assert marks_of(recording, "stage") == [
        (0, 3000, 0),
        (3000, 6000, 3),
        (6000, 9000, 3),
        (9000, 12000, 4),
    ]
    telemetry = layout.read(tmp_path, refs[2])
    assert telemetry.channels == ("EEG_FPZ_CZ", "EEG_PZ_OZ", "EOG", "EMG")
    assert telemetry.conversions == ("Temp rectal: excluded, 1 Hz",)


def test_sleep_edf_stages_after_the_end_are_excluded_and_counted(tmp_path):
    stages = [(0, 90, "1"), (90, 30, "Movement time"), (120, 30, "W")]
    write_night(tmp_path, stages=stages)
    _, recording = only(get_layout("sleep_edf"), tmp_path)
    assert marks_of(recording, "stage") == [(0, 9000, 1)]
    assert recording.attributes["stages_after_the_end"] == 1


def test_sleep_edf_hostile_files(tmp_path):
    layout = get_layout("sleep_edf")
    write_night(tmp_path, stages=[(0, 30, "5")])
    with pytest.raises(UnreadableError, match=r"'Sleep stage 5' at 0 s"):
        only(layout, tmp_path)
    write_night(tmp_path, start=(17, 0, 0))
    with pytest.raises(UnreadableError, match=r"begins at 17:00:00.* not from the same night"):
        only(layout, tmp_path)
    write_night(tmp_path)
    night = tmp_path / "SC4001E0-PSG.edf"
    content = night.read_bytes()
    for kept in (len(content) - 1000, 300, 100, 0):
        night.write_bytes(content[:kept])
        with pytest.raises(UnreadableError, match=r"SC4001E0-PSG.edf cannot be read"):
            only(layout, tmp_path)
    night.write_bytes(content)
    shutil.copy(tmp_path / "SC4001EC-Hypnogram.edf", tmp_path / "SC4001EH-Hypnogram.edf")
    with pytest.raises(DataError, match=r"needs one SC4001E.-Hypnogram.edf beside it; found: SC"):
        layout.find(tmp_path)
    for path in tmp_path.glob("*Hypnogram.edf"):
        path.unlink()
    with pytest.raises(DataError, match=r"found: none"):
        layout.find(tmp_path)
    write_night(tmp_path)
    write_night(tmp_path / "again")
    with pytest.raises(DataError, match=r"record id 'SC4001' occurs twice"):
        layout.find(tmp_path)


# Bonn


def write_bonn(folder, **changed):
    samples = RNG.integers(-300, 300, (3, 4097)).astype(np.int16)
    members = {
        "X": samples,
        "y": np.array(["Z", "S", "N"]),
        "name": np.array(["Z001.txt", "S002.txt", "N003.TXT"]),
        "fs": np.float64(173.61),
    }
    np.savez_compressed(folder / "bonn500.npz", **(members | changed))
    return samples


def test_bonn_both_forms(tmp_path):
    samples = write_bonn(tmp_path)
    for letter, name, values in zip(
        "zSN", ("z001.txt", "S002.txt", "N003.TXT"), samples, strict=True
    ):
        (tmp_path / letter).mkdir()
        (tmp_path / letter / name).write_text("\n".join(map(str, values)) + "\n")
    for form in ("npz", "txt"):
        layout = get_layout(f"bonn/{form}")
        refs = {ref.record_id: ref for ref in layout.find(tmp_path)}
        assert set(refs) == {"Z001", "S002", "N003"}
        labels = {}
        for row, record in enumerate(("Z001", "S002", "N003")):
            recording = layout.read(tmp_path, refs[record])
            np.testing.assert_array_equal(recording.signal, samples[row : row + 1])
            assert recording.signal.dtype == np.float32
            assert (recording.channels, recording.units) == (("EEG",), ("uV",))
            assert recording.sampling_rate_hz == 173.61
            assert recording.attributes == {"subject_known": False}
            labels[record] = [recording.labels[t.name].argmax() for t in layout.tasks]
        assert labels == {"Z001": [0, 0], "S002": [4, 1], "N003": [2, 0]}


def test_bonn_hostile_files(tmp_path):
    npz, txt = get_layout("bonn"), get_layout("bonn/txt")
    write_bonn(tmp_path, y=np.array(["Z", "S", "Q"]))
    with pytest.raises(DataError, match=r"row 2: set 'Q' of segment 'N003.TXT'"):
        npz.find(tmp_path)
    write_bonn(tmp_path, name=np.array(["Z001.txt", "S002.txt", "F003.txt"]))
    with pytest.raises(DataError, match=r"row 2: set 'N' of segment 'F003.txt'"):
        npz.find(tmp_path)
    write_bonn(tmp_path, name=np.array(["Z001.txt"] * 3), y=np.array(["Z"] * 3))
    with pytest.raises(DataError, match=r"record id 'Z001' occurs twice"):
        npz.find(tmp_path)
    write_bonn(tmp_path, X=np.zeros((3, 100), np.int16))
    with pytest.raises(DataError, match=r"X has shape \(3, 100\)"):
        npz.find(tmp_path)
    write_bonn(tmp_path, y=np.array([{}, 1, 2], dtype=object))
    with pytest.raises(UnreadableError, match=r"allow_pickle"):
        npz.find(tmp_path)
    path = tmp_path / "bonn500.npz"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UnreadableError, match=r"bonn500.npz cannot be read"):
        npz.find(tmp_path)
    for content, match in (("1\n2\n", r"shape \(2,\); a segment has 4097"), ("1\nx\n", "'x'")):
        (tmp_path / "Z001.txt").write_text(content)
        with pytest.raises(UnreadableError, match=match):
            only(txt, tmp_path)


# Real signals


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


def test_bonn_as_collected(shared):
    source = shared / "data" / "bonn_eeg"
    layout = get_layout("bonn")
    refs = layout.find(source)
    assert len(refs) == len({ref.subject_id for ref in refs}) == 500
    with np.load(source / "bonn500.npz") as collected:
        for row in (0, 123, 499):
            recording = layout.read(source, refs[row])
            np.testing.assert_array_equal(recording.signal[0], collected["X"][row])
            assert layout.tasks[0].classes[recording.labels["set"].argmax()] == collected["y"][row]

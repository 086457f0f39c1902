"""The layout of EEGMAT, against edfio and soundfile."""

import edfio
import numpy as np
import pytest
import soundfile

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.eegmat import ELECTRODES
from physio_mae_jax.preparation.registry import get_layout
from tests.layouts import debug_run, prepare, write_packed

NATIVE, PACKED = get_layout("eegmat/edf"), get_layout("eegmat/flac")
NPZ = "eegmat_128hz"
LABELS = (
    *("EEG Fp1", "EEG Fp2", "EEG F3", "EEG F4", "EEG F7", "EEG F8", "EEG T3", "EEG T4", "EEG C3"),
    *("EEG C4", "EEG T5", "EEG T6", "EEG P3", "EEG P4", "EEG O1", "EEG O2", "EEG Fz", "EEG Cz"),
    *("EEG Pz", "EEG A2-A1", "ECG ECG"),
)
RNG = np.random.default_rng(0)


def write_table(folder, subjects=("Subject00", "Subject01"), row="21,F,2011,9.7,0"):
    folder.mkdir(exist_ok=True)
    header = "Subject,Age,Gender,Recording year,Number of subtractions,Count quality"
    lines = [header, *(f"{subject},{row}" for subject in subjects)]
    (folder / "subject-info.csv").write_text("\n".join(lines) + "\n")


def write_edf(folder, name, labels=LABELS, rates=None, seconds=2, padding=0):
    folder.mkdir(exist_ok=True)
    signals = [
        edfio.EdfSignal(
            np.append(RNG.uniform(-190, 190, seconds * rate), np.zeros(padding * rate)),
            rate,
            label=label,
            physical_dimension="uV",
            physical_range=(-200, 200),
            digital_range=(-32768, 32767),
        )
        for label, rate in zip(labels, rates or [500] * len(labels), strict=True)
    ]
    edfio.Edf(signals, data_record_duration=1).write(folder / f"{name}.edf")


def write_flac(folder, subjects, seconds=2, **changes):
    """Write a recording at rest and one of arithmetic for each subject; return their samples."""
    write_table(folder, subjects)
    values = [
        RNG.integers(-999, 999, (21, 128 * (seconds + condition)))
        for _ in subjects
        for condition in (1, 2)
    ]
    members = {
        "n_samp": np.array([part.shape[1] for part in values], np.int32),
        "subject": np.repeat(subjects, 2),
        "condition": np.tile(np.array([1, 2], np.int8), len(subjects)),
        "channels": np.array(LABELS),
        "uv_per_unit": np.array([0.05] * 20 + [1.0]),
        "fs": np.int32(128),
    }
    write_packed(folder, NPZ, np.concatenate([v.ravel() for v in values]), **(members | changes))
    return values


def test_edf_files_equal_those_of_edfio(tmp_path):
    write_table(tmp_path)
    for name in ("Subject00_1", "Subject00_2", "Subject01_1"):
        write_edf(tmp_path, name)
    refs = NATIVE.find(tmp_path)
    assert [ref.record_id for ref in refs] == ["Subject00_1", "Subject00_2", "Subject01_1"]
    assert [ref.subject_id for ref in refs] == ["Subject00", "Subject00", "Subject01"]
    for ref, label in zip(refs, ([1, 0], [0, 1], [1, 0]), strict=True):
        recording = NATIVE.read(tmp_path, ref)
        signals = edfio.read_edf(tmp_path / ref.files[0]).signals
        expected = [signal.data for signal in signals if signal.label != "EEG A2-A1"]
        np.testing.assert_allclose(recording.signal, expected, atol=1e-3)
        assert recording.channels == (*ELECTRODES, "ECG")
        assert recording.units == ("uV",) * 20
        assert recording.sampling_rate_hz == 500
        assert recording.conversions == ("EEG A2-A1: excluded, the reference",)
        assert recording.labels["arithmetic"].tolist() == label
        assert recording.attributes == {
            "age": 21.0,
            "sex": "female",
            "recording_year": 2011,
            "subtractions": 9.7,
            "performance": "bad",
        }


def test_packed_copy(tmp_path):
    values = write_flac(tmp_path, ["Subject00", "Subject02"])
    refs = PACKED.find(tmp_path)
    names = [f"Subject{number}_{condition}" for number in ("00", "02") for condition in (1, 2)]
    assert [ref.record_id for ref in refs] == names
    scale = np.array([0.05] * 19 + [1.0])[:, None]
    for ref, expected in zip(refs, values, strict=True):
        recording = PACKED.read(tmp_path, ref)
        np.testing.assert_allclose(
            recording.signal, np.delete(expected, 19, axis=0) * scale, rtol=1e-6
        )
        assert recording.channels == (*ELECTRODES, "ECG")
        assert recording.sampling_rate_hz == 128
        condition = int(ref.record_id[-1])
        assert recording.labels["arithmetic"].nonzero()[0].tolist() == [condition - 1]


def test_padding_of_edf_files_is_cut(tmp_path):
    write_table(tmp_path)
    # As many values below 0 as above, so that none is 0 exactly.
    write_edf(tmp_path, "Subject00_2", seconds=3, padding=2)
    (ref,) = NATIVE.find(tmp_path)
    recording = NATIVE.read(tmp_path, ref)
    assert recording.signal.shape == (20, 3 * 500)
    assert recording.signal[:, -1].all()
    assert recording.conversions[-1] == "the last 2 s, which are padding: cut"


def test_padding_of_a_packed_copy_is_cut(tmp_path):
    values = write_flac(tmp_path, ["Subject00"], seconds=4)
    for part in values:
        part[:, -250:-120] = part[:, -251:-250]
        part[:, -120:] = 0
    write_packed(
        tmp_path,
        NPZ,
        np.concatenate([part.ravel() for part in values]),
        **np.load(tmp_path / f"{NPZ}.npz"),
    )
    for ref, expected in zip(PACKED.find(tmp_path), values, strict=True):
        recording = PACKED.read(tmp_path, ref)
        assert recording.signal.shape == (20, expected.shape[1] - 2 * 128)
        np.testing.assert_allclose(
            recording.signal[:19], expected[:19, : -2 * 128] * 0.05, rtol=1e-6
        )
        assert recording.conversions[-1] == "the last 2 s, which are padding: cut"


def test_channels_that_are_not_known_are_excluded(tmp_path):
    write_table(tmp_path)
    write_edf(tmp_path, "Subject00_1", labels=("EEG Fp1", "Events"))
    (ref,) = NATIVE.find(tmp_path)
    recording = NATIVE.read(tmp_path, ref)
    assert recording.channels == ("EEG_FP1",)
    assert recording.conversions == ("Events: excluded, not known",)


def test_broken_folders_are_rejected(tmp_path):
    with pytest.raises(DataError, match=r"subject-info\.csv is missing"):
        NATIVE.find(tmp_path)
    for row in ("x,F,2011,9.7,0", "21,U,2011,9.7,0", "21,F,2011,9.7,2"):
        write_table(tmp_path, row=row)
        with pytest.raises(DataError, match=r"the row of Subject00 has .*is expected"):
            NATIVE.find(tmp_path)
    write_table(tmp_path)
    with pytest.raises(DataError, match=r"no files such as Subject00_1\.edf"):
        NATIVE.find(tmp_path)
    write_edf(tmp_path, "Subject02_1")
    with pytest.raises(DataError, match=r"no row for Subject02 of Subject02_1\.edf"):
        NATIVE.find(tmp_path)
    (tmp_path / "Subject02_1.edf").rename(tmp_path / "rest.edf")
    with pytest.raises(
        DataError, match=r"rest\.edf does not have the name of a recording of EEGMAT"
    ):
        NATIVE.find(tmp_path)
    (tmp_path / "rest.edf").unlink()
    write_edf(tmp_path, "Subject00_1", labels=("EEG Fp1", "ECG"), rates=[500, 250])
    (ref,) = NATIVE.find(tmp_path)
    with pytest.raises(UnreadableError, match=r"channels at 250, 500 Hz; one rate"):
        NATIVE.read(tmp_path, ref)
    write_edf(tmp_path, "Subject00_1", labels=("EEG A2-A1", "ECG"))
    with pytest.raises(UnreadableError, match=r"none of the electrodes"):
        NATIVE.read(tmp_path, ref)
    content = (tmp_path / "Subject00_1.edf").read_bytes()
    (tmp_path / "Subject00_1.edf").write_bytes(content[:-100])
    with pytest.raises(UnreadableError, match=r"Subject00_1\.edf"):
        NATIVE.read(tmp_path, ref)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"condition": np.array([1, 3])}, r"'condition' is 1 \(rest\) or 2"),
        ({"n_samp": np.array([384, 0])}, r"'n_samp' above 0"),
        ({"n_samp": np.array([384, 511])}, r"values; the .npz beside it describes"),
        ({"uv_per_unit": np.ones(20)}, r"differ in their number of rows"),
        ({"subject": np.array(["Subject00", "Subject09"])}, r"no row for Subject09"),
        ({"subject": np.array(["Subject00"])}, r"differ in their number of rows"),
        ({"condition": np.array([1, 1])}, r"'Subject00_1' occurs twice"),
    ],
)
def test_broken_packed_copies_are_rejected(tmp_path, changes, message):
    write_flac(tmp_path, ["Subject00"], **changes)
    with pytest.raises(DataError, match=message):
        PACKED.find(tmp_path)


def test_a_few_steps_of_the_default_task(tmp_path):
    write_flac(tmp_path / "raw", [f"Subject{i:02}" for i in range(8)], seconds=8)
    prepare("eegmat/flac", tmp_path / "raw", tmp_path / "data")
    evaluation = debug_run("eegmat/flac", tmp_path / "data", tmp_path / "run")
    assert evaluation["evaluations"]["test"]["classes"] == ["rest", "arithmetic"]


def test_real_copy_equals_that_of_soundfile(shared):
    folder = shared / "data" / "eegmat"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    values, _ = soundfile.read(folder / f"{NPZ}.flac", dtype="int16")
    refs = PACKED.find(folder)
    assert len(refs) == 36
    assert len({ref.subject_id for ref in refs}) == 18
    starts = {ref.record_id: ref.details["start"] for ref in refs}
    for ref in (refs[0], refs[5], refs[35]):
        recording = PACKED.read(folder, ref)
        start, num_samples = starts[ref.record_id], ref.details["num_samples"]
        expected = values[start:][: 21 * num_samples].reshape(21, num_samples)[:, : -2 * 128]
        np.testing.assert_allclose(recording.signal[:19], expected[:19] * 0.05, rtol=1e-6)
        np.testing.assert_allclose(recording.signal[19], expected[20], rtol=1e-6)
        # No channel ends in a constant.
        assert recording.signal[:, -32:].std(axis=1).min() > 0.05
        assert recording.signal.shape[1] / recording.sampling_rate_hz in (60.0, 180.0)
        # Microvolts of an EEG.
        assert 1 < np.median(recording.signal[:19].std(axis=1)) < 50

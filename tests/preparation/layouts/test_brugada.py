"""The layout of Brugada-HUCA, against wfdb and soundfile."""

import hashlib

import numpy as np
import pytest
import soundfile
import wfdb

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.brugada import SAME_SIGNAL
from physio_mae_jax.preparation.registry import get_layout
from physio_mae_jax.signals.channels import TWELVE_LEADS
from tests.layouts import debug_run, prepare, write_packed

NATIVE, PACKED = get_layout("brugada/wfdb"), get_layout("brugada/flac")
NPZ = "brugada363_100hz"
RNG = np.random.default_rng(0)


def write_native(folder, rows, **changes):
    """Write PhysioNet's folder; rows are (id, basal_pattern, sudden_death, brugada)."""
    folder.mkdir(exist_ok=True)
    lines = ["patient_id,basal_pattern,sudden_death,brugada", *(",".join(row) for row in rows)]
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    written = {}
    for patient, *_ in rows:
        inner = folder / "files" / patient
        inner.mkdir(parents=True, exist_ok=True)
        written[patient] = RNG.integers(-900, 900, (12, 1200))
        settings = {"fs": 100, "units": ["mV"] * 12, "sig_name": list(TWELVE_LEADS)} | changes
        wfdb.wrsamp(
            patient,
            d_signal=written[patient].T,
            fmt=["16"] * 12,
            adc_gain=[1000.0] * 12,
            baseline=[0] * 12,
            write_dir=str(inner),
            **settings,
        )
    return written


def write_flac(folder, patients, brugada=None, **changes):
    values = RNG.integers(-900, 900, (len(patients), 12, 1200))
    zeros = np.zeros(len(patients), np.int8)
    members = {
        "patient": np.array(patients),
        "brugada": zeros if brugada is None else np.array(brugada, np.int8),
        "basal_pattern": zeros,
        "sudden_death": zeros,
        "leads": np.array(TWELVE_LEADS),
        "fs": np.int32(100),
        "adu_per_mV": np.int32(1000),
        "shape": np.array(values.shape),
    }
    write_packed(folder, NPZ, values, **(members | changes))
    return values


def label(recording, task):
    (found,) = recording.labels[task].nonzero()[0]
    return next(t for t in NATIVE.tasks if t.name == task).classes[found]


def test_physionet_folder(tmp_path):
    rows = [("188981", "0", "1", "0"), ("251972", "1", "0", "1"), ("265715", "0", "0", "2")]
    written = write_native(tmp_path, rows)
    refs = NATIVE.find(tmp_path)
    recordings = {ref.record_id: NATIVE.read(tmp_path, ref) for ref in refs}
    for patient, recording in recordings.items():
        np.testing.assert_allclose(recording.signal, written[patient] / 1000, rtol=1e-6)
        assert recording.channels == TWELVE_LEADS
        assert recording.units == ("mV",) * 12
        assert recording.sampling_rate_hz == 100
    classes = [label(recordings[row[0]], "brugada") for row in rows]
    assert classes == ["no_brugada", "brugada", "other"]
    assert [label(recordings[row[0]], "basal_pattern") for row in rows] == ["no", "yes", "no"]
    assert [label(recordings[row[0]], "sudden_death") for row in rows] == ["yes", "no", "no"]


def test_leads_in_another_order_are_sorted(tmp_path):
    written = write_native(
        tmp_path, [("188981", "0", "0", "0")], sig_name=list(reversed(TWELVE_LEADS))
    )
    (ref,) = NATIVE.find(tmp_path)
    np.testing.assert_allclose(
        NATIVE.read(tmp_path, ref).signal, written["188981"][::-1] / 1000, rtol=1e-6
    )


def test_ids_of_one_signal_are_one_subject(tmp_path):
    rows = [(name, "0", "0", "0") for pair in SAME_SIGNAL.items() for name in pair]
    write_native(tmp_path, [*rows, ("188981", "0", "0", "0")])
    subjects = {ref.record_id: ref.subject_id for ref in NATIVE.find(tmp_path)}
    assert len(set(subjects.values())) == 5
    for second, first in SAME_SIGNAL.items():
        assert subjects[second] == subjects[first] == first


def test_packed_copy(tmp_path):
    values = write_flac(tmp_path, ["188981", "844915", "841869"], brugada=[2, 0, 1])
    refs = PACKED.find(tmp_path)
    assert [ref.subject_id for ref in refs] == ["188981", "841869", "841869"]
    for ref, expected in zip(refs, values, strict=True):
        recording = PACKED.read(tmp_path, ref)
        np.testing.assert_allclose(recording.signal, expected / 1000, rtol=1e-6)
        assert bool(recording.conversions) == (ref.record_id != "188981")
    assert label(PACKED.read(tmp_path, refs[0]), "brugada") == "other"


def test_broken_physionet_folders_are_rejected(tmp_path):
    with pytest.raises(DataError, match=r"metadata\.csv is missing.*'brugada/flac'"):
        NATIVE.find(tmp_path)
    for row, message in (
        (("188981", "0", "0", "3"), r"brugada of 188981 is 3; 0 to 2 is expected"),
        (("188981", "2", "0", "0"), r"basal_pattern of 188981 is 2; 0 to 1"),
        (("188981", "0", "", "0"), r"sudden_death of 188981 reads ''; a whole number"),
    ):
        write_native(tmp_path, [row])
        with pytest.raises(DataError, match=message):
            NATIVE.find(tmp_path)
    write_native(tmp_path, [("188981", "0", "0", "0")] * 2)
    with pytest.raises(DataError, match=r"record id '188981' occurs twice"):
        NATIVE.find(tmp_path)
    for change in ({"fs": 500}, {"units": ["uV"] * 12}):
        write_native(tmp_path, [("188981", "0", "0", "0")], **change)
        (ref,) = NATIVE.find(tmp_path)
        with pytest.raises(UnreadableError, match=r"the twelve leads in mV at 100 Hz"):
            NATIVE.read(tmp_path, ref)
    (tmp_path / "files" / "188981" / "188981.hea").unlink()
    with pytest.raises(DataError, match=r"188981\.hea is missing"):
        NATIVE.read(tmp_path, ref)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"leads": np.array(TWELVE_LEADS[::-1])}, r"leads V6, .*are expected"),
        ({"shape": np.array([3, 12, 1200])}, r"for 2 rows; \(2, 12, samples\)"),
        ({"shape": np.array([2, 12, 1199])}, r"28,800 values; the .npz .* 28,776"),
        ({"sudden_death": np.zeros(3, np.int8)}, r"differ in their number of rows"),
        ({"fs": np.int32(500)}, r"states 500 Hz"),
        ({"adu_per_mV": np.int32(0)}, r"0 units per mV"),
        ({"brugada": np.array([0, -1])}, r"brugada of b is -1"),
    ],
)
def test_broken_packed_copies_are_rejected(tmp_path, changes, message):
    write_flac(tmp_path, ["a", "b"], **changes)
    with pytest.raises(DataError, match=message):
        PACKED.find(tmp_path)


def test_a_few_steps_of_the_default_task(tmp_path):
    labels = [i % 2 for i in range(14)]
    write_flac(tmp_path / "raw", [f"p{i}" for i in range(14)], brugada=labels)
    prepare("brugada/flac", tmp_path / "raw", tmp_path / "data")
    evaluation = debug_run("brugada/flac", tmp_path / "data", tmp_path / "run")
    assert evaluation["evaluations"]["test"]["classes"] == ["no_brugada", "brugada"]


def test_real_copy_equals_that_of_soundfile(shared):
    folder = shared / "data" / "brugada"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    values, _ = soundfile.read(folder / f"{NPZ}.flac", dtype="int16")
    values = values.reshape(363, 12, 1200)
    refs = PACKED.find(folder)
    for row in (0, 100, 362):
        signal = PACKED.read(folder, refs[row]).signal
        np.testing.assert_allclose(signal, values[row] / 1000, rtol=1e-6)
    counts = np.bincount([ref.details["brugada"] for ref in refs])
    assert counts.tolist() == [287, 69, 7]
    # Equal signals are of one subject, and the other way round.
    subject_of = {}
    for ref, signal in zip(refs, values, strict=True):
        key = hashlib.sha256(signal.tobytes()).hexdigest()
        assert subject_of.setdefault(key, ref.subject_id) == ref.subject_id
    assert len(subject_of) == len({ref.subject_id for ref in refs}) == 359

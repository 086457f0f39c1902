"""The layout of the Challenges 2020 and 2021, against wfdb and scipy."""

import tarfile
from collections import Counter

import numpy as np
import pytest
import wfdb
from scipy import io as scipy_io

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.registry import get_layout
from physio_mae_jax.signals.channels import TWELVE_LEADS
from tests.layouts import debug_run, prepare

LAYOUT = get_layout("challenge2021")
DIAGNOSIS, UNSCORED = LAYOUT.tasks


def write_recording(
    folder, name, dx="426783006", seconds=6, rate_hz=500, ending="", unit="mV", seed=0, lines=()
):
    """Write a header and a MATLAB 4 matrix as the Challenge does; return the samples [12, n]."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    samples = rng.normal(scale=300, size=(12, seconds * rate_hz)).astype("<i2")
    scipy_io.savemat(folder / f"{name}.mat", {"val": samples}, format="4")
    header = [f"{name}{ending} 12 {rate_hz} {samples.shape[1]} 05-May-2020 14:50:55"]
    for lead, row in zip(TWELVE_LEADS, samples, strict=True):
        checksum = int(row.sum(dtype=np.int64).astype(np.int16))
        header.append(f"{name}.mat 16+24 1000/{unit} 16 0 {row[0]} {checksum} 0 {lead}")
    header += lines or ["#Age: 74", "#Sex: Male", f"#Dx: {dx}", "#Rx: Unknown"]
    (folder / f"{name}.hea").write_text("\n".join(header) + "\n")
    return samples


def names(task, recording):
    return {task.classes[i] for i in recording.labels[task.name].nonzero()[0]}


def test_folders_of_every_source(tmp_path):
    written = {
        "A0001": write_recording(tmp_path / "cpsc_2018/g1", "A0001", seed=1),
        "E00271": write_recording(tmp_path / "georgia/g1", "E00271", ending=".mat", seed=2),
        "HR00017": write_recording(tmp_path / "ptb-xl/g1", "HR00017", seed=3),
        "I0001": write_recording(tmp_path / "st_petersburg_incart", "I0001", rate_hz=257, seed=4),
        "JS10646": write_recording(tmp_path / "chapman_shaoxing/g1", "JS10646", seed=5),
        "JS10647": write_recording(tmp_path / "ningbo/g1", "JS10647", seed=6),
        "Q0001": write_recording(tmp_path / "cpsc_2018_extra", "Q0001", seed=7),
        "S0001": write_recording(tmp_path / "ptb", "S0001", rate_hz=1000, unit="mv", seed=8),
    }
    refs = {ref.record_id: ref for ref in LAYOUT.find(tmp_path)}
    assert refs.keys() == written.keys()
    sources = {}
    for name, ref in refs.items():
        assert ref.subject_id == name
        recording = LAYOUT.read(tmp_path, ref)
        np.testing.assert_allclose(recording.signal, written[name] / 1000, rtol=1e-6)
        assert recording.channels == TWELVE_LEADS
        assert recording.units == ("mV",) * 12
        assert recording.attributes["subject_known"] is False
        sources[name] = recording.attributes["source"]
    assert sources == {
        "A0001": "cpsc_2018",
        "E00271": "georgia",
        "HR00017": "ptb_xl",
        "I0001": "st_petersburg_incart",
        "JS10646": "chapman_shaoxing",
        "JS10647": "ningbo",
        "Q0001": "cpsc_2018_extra",
        "S0001": "ptb",
    }
    assert LAYOUT.read(tmp_path, refs["HR00017"]).attributes["ptbxl_ecg_id"] == 17
    assert LAYOUT.read(tmp_path, refs["I0001"]).sampling_rate_hz == 257


def test_codes_become_scored_and_unscored_classes(tmp_path):
    assert (len(DIAGNOSIS.classes), len(UNSCORED.classes)) == (26, 103)
    # Both codes of an equal pair, an unscored one, an unknown one, and a repetition.
    write_recording(tmp_path, "A0001", dx="713427006,59118001, 164873001,123,59118001")
    pairs = {"733534002": "LBBB", "164909002": "LBBB", "63593006": "PAC", "284470004": "PAC"}
    pairs |= {"17338001": "PVC", "427172004": "PVC", "426177001": "SB"}
    for number, code in enumerate(pairs):
        write_recording(tmp_path, f"E{number:05}", dx=code)
    recordings = {ref.record_id: LAYOUT.read(tmp_path, ref) for ref in LAYOUT.find(tmp_path)}
    assert names(DIAGNOSIS, recordings["A0001"]) == {"RBBB"}
    assert names(UNSCORED, recordings["A0001"]) == {"LVH"}
    assert recordings["A0001"].attributes["other_codes"] == "123"
    for number, name in enumerate(pairs.values()):
        assert names(DIAGNOSIS, recordings[f"E{number:05}"]) == {name}
        assert names(UNSCORED, recordings[f"E{number:05}"]) == set()
        assert "other_codes" not in recordings[f"E{number:05}"].attributes


@pytest.mark.parametrize(
    ("lines", "patient"),
    [
        (["#Age: 74", "#Sex: Male"], {"age": 74.0, "sex": "male"}),
        (["# Age: 4", "# Sex: F"], {"age": 4.0, "sex": "female"}),
        (["#Age: NaN", "#Sex: Unknown"], {}),
        (["#Age: 300", "#Sex: NaN"], {}),
        ([], {}),
    ],
)
def test_age_and_sex_where_they_are_known(tmp_path, lines, patient):
    write_recording(tmp_path, "A0001", lines=[*lines, "#Dx: 426783006"])
    (ref,) = LAYOUT.find(tmp_path)
    attributes = dict(LAYOUT.read(tmp_path, ref).attributes)
    assert attributes == {"source": "cpsc_2018", "subject_known": False, **patient}


def test_a_recording_without_any_diagnosis_has_no_labels(tmp_path):
    write_recording(tmp_path, "A0001", dx="")
    (ref,) = LAYOUT.find(tmp_path)
    assert LAYOUT.read(tmp_path, ref).labels == {}


def test_files_that_are_not_of_the_challenge_are_rejected(tmp_path):
    write_recording(tmp_path / "a", "A0001", dx="RBBB")
    (ref,) = LAYOUT.find(tmp_path)
    with pytest.raises(UnreadableError, match=r"A0001\.hea: the diagnoses read 'RBBB'"):
        LAYOUT.read(tmp_path, ref)
    write_recording(tmp_path / "a", "A0001", lines=["#Age: 3"])
    with pytest.raises(UnreadableError, match=r"no line '#Dx:'"):
        LAYOUT.read(tmp_path, ref)
    matrix = tmp_path / "a" / "A0001.mat"
    content = bytearray(matrix.read_bytes())
    content[1000] ^= 1
    matrix.write_bytes(content)
    with pytest.raises(UnreadableError, match=r"checksum"):
        LAYOUT.read(tmp_path, ref)
    matrix.write_bytes(content[:-10])
    with pytest.raises(UnreadableError, match=r"A0001\.mat is truncated"):
        LAYOUT.read(tmp_path, ref)
    write_recording(tmp_path / "b", "A0001")
    with pytest.raises(DataError, match=r"record id 'A0001' occurs twice"):
        LAYOUT.find(tmp_path)
    write_recording(tmp_path / "c", "X0001")
    with pytest.raises(
        DataError, match=r"X0001\.hea does not have the name of a recording of the Challenge"
    ):
        LAYOUT.find(tmp_path)


def test_a_few_steps_of_the_default_task(tmp_path):
    for number in range(12):
        dx = ("426177001", "427084000")[number % 2]
        write_recording(tmp_path / "raw", f"A{number:04}", dx=dx, seed=number)
    prepare("challenge2021", tmp_path / "raw", tmp_path / "data")
    changes = {"labels.classes": "SB,STach"}
    evaluation = debug_run("challenge2021", tmp_path / "data", tmp_path / "run", **changes)
    assert evaluation["title"] == "diagnosis on challenge2021"
    assert evaluation["evaluations"]["test"]["classes"] == ["SB", "STach"]


@pytest.fixture(scope="module")
def real(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("challenge")
    archive = shared / "data" / "challenge_12lead" / "challenge2021_native.tar.xz"
    if not archive.is_file():
        pytest.skip(f"needs {archive}")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder


def test_real_files_equal_those_of_other_readers(real):
    sources, diagnoses, num_of_mat_name = Counter(), Counter(), 0
    for ref in LAYOUT.find(real):
        recording = LAYOUT.read(real, ref)
        path = real / ref.files[0]
        samples = scipy_io.loadmat(path.with_suffix(".mat"))["val"]
        # All of these sources store 1000 units a millivolt, with a baseline of 0.
        np.testing.assert_allclose(recording.signal, samples / 1000, rtol=1e-6)
        if path.read_text().split()[0].endswith(".mat"):
            num_of_mat_name += 1
            with pytest.raises(ValueError, match="invalid syntax in record line"):
                wfdb.rdheader(str(path.with_suffix("")))
        else:
            header = wfdb.rdheader(str(path.with_suffix("")))
            assert recording.channels == tuple(header.sig_name)
            assert recording.sampling_rate_hz == header.fs
            (dx,) = (line for line in header.comments if line.startswith("Dx"))
            count = sum(map(len, (names(DIAGNOSIS, recording), names(UNSCORED, recording))))
            assert count == len(dx.split(","))
        sources[recording.attributes["source"]] += 1
        diagnoses.update(names(DIAGNOSIS, recording))
    assert num_of_mat_name == 11
    assert sources["georgia"] == 41
    assert sources["chapman_shaoxing"] + sources["ningbo"] == 30
    assert (sources["cpsc_2018"], sources["ptb"]) == (14, 1)
    assert (diagnoses["SB"], diagnoses["AF"], diagnoses["RBBB"]) == (19, 12, 9)

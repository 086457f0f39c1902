"""A user's own files become a data set of their own, with the labels that the manifest tells of."""

import json
import pickle
from pathlib import Path
from typing import Any

import edfio
import numpy as np
import pandas
import pytest

from physio_mae_jax import prepare
from physio_mae_jax.data.formats import readers
from physio_mae_jax.data.formats.manifest import parse_manifest
from physio_mae_jax.data.prepared_index import read_metadata, read_prepared_index
from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.preparation.layouts.folder import FolderLayout, open_own_folder
from physio_mae_jax.preparation.layouts.folder_draft import write_draft
from physio_mae_jax.preparation.registry import LAYOUTS
from tests.data.formats.test_folder import MANIFESTS, write_csv, write_manifest, write_wfdb

NAMES = ("II", "PPG", "RESP")


@pytest.fixture
def signal() -> np.ndarray:
    """Return three channels of 400 samples, float32 [3, 400]."""
    return np.random.default_rng(0).normal(size=(3, 400)).astype(np.float32)


def write_npz(path: Path, count: int = 4, **members: Any) -> np.ndarray:
    signals = np.random.default_rng(1).normal(size=(count, 3, 300)).astype(np.float32)
    np.savez(path, X=signals, channels=NAMES, fs=100, **members)
    return signals


def opened(folder: Path, **options: Any) -> FolderLayout:
    return open_own_folder("mine", folder, **options)


def labels_of(layout: FolderLayout, folder: Path) -> list[list[int] | None]:
    found = []
    for ref in layout.find(folder):
        labels = layout.read(folder, ref).labels.get("label")
        found.append(None if labels is None else labels.tolist())
    return found


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Call the command line; return its status and what it said."""
    status = prepare.main([*arguments, "--workers=1"])
    said = capsys.readouterr()
    return status, said.out + said.err


class TestEveryFormat:
    def test_prepared_as_read(
        self, tmp_path: Path, signal: np.ndarray, capsys: pytest.CaptureFixture[str]
    ) -> None:
        raw = tmp_path / "raw"
        raw.mkdir()
        stacked = write_npz(raw / "s.npz", patient_id=[7, 7, 8, 9], rec=list("abcd"))
        np.save(raw / "n.npy", signal)
        write_csv(raw / "c.csv", signal, 250.0)
        held = write_wfdb(raw, "w", signal)
        pandas.DataFrame({"t": np.arange(400) / 50, "II": signal[0]}).to_parquet(raw / "p.parquet")
        edf = edfio.EdfSignal(signal[0].astype(float), 100, label="II", physical_dimension="uV")
        edfio.Edf([edf]).write(raw / "e.edf")
        write_manifest(
            raw,
            *({"file": name} for name in ("s.npz", "c.csv", "w.hea", "p.parquet", "e.edf")),
            {"file": "n.npy", "channels": NAMES, "sampling_rate_hz": 125, "subject": "zoe"},
        )
        layout = opened(raw)
        copy = pickle.loads(pickle.dumps(layout))
        assert copy.found == ()
        read = {ref.record_id: copy.read(raw, ref) for ref in layout.find(raw)}
        expected = {"c": signal, "w": held, "n": signal, "p": signal[:1]}
        expected |= {f"s/{key}": stacked[i] for i, key in enumerate("abcd")}
        for record_id, values in expected.items():
            np.testing.assert_array_equal(read[record_id].signal, values)
        # In µV, and the first file that says a unit says mV.
        np.testing.assert_allclose(read["e"].signal, signal[:1] / 1000, rtol=0, atol=1e-6)
        assert (read["e"].units, read["e"].conversions) == (("mV",), ("II: uV × 0.001 = mV",))
        assert [read[key].sampling_rate_hz for key in "cwpen"] == [250, 250, 50, 100, 125]
        assert (read["w"].units, read["c"].units) == (("mV",) * 3, ("",) * 3)
        subjects = {ref.record_id: ref.subject_id for ref in layout.found}
        assert subjects["s/a"] == subjects["s/b"] == "7"
        assert (subjects["n"], subjects["c"]) == ("zoe", "c")
        files = {ref.record_id: ref.files for ref in layout.found}
        assert files["w"] == ("w.hea", "w.dat")

    def test_cli(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        raw = tmp_path / "raw"
        raw.mkdir()
        write_npz(
            raw / "s.npz", y=["AF", "normal", "AF", ""], who=[1, 1, 2, 3], age=[60.0, 60, 5, 9]
        )
        write_manifest(
            raw,
            {"file": "s.npz", "label_array": "y", "subject_array": "who"},
            units="mV",
            attribute_arrays={"age": "age"},
        )
        status, said = run(
            capsys, "folder", "--name=my_set", f"--source={raw}", f"--out={tmp_path / 'out'}"
        )
        assert status == 0, said
        assert "4 of 4 recordings kept: 3 subjects" in said
        folder = tmp_path / "out" / "my_set" / "1.0.0"
        model_spec = read_metadata(folder)
        records = read_prepared_index(folder, model_spec)
        assert model_spec.task("label")["classes"] == ["AF", "normal"]
        assert model_spec.task("label")["exclusive"] is True
        assert model_spec.channels == dict.fromkeys(NAMES, "mV")
        assert [dict(r.labels) for r in records] == [
            {"label": [0]},
            {"label": [1]},
            {"label": [0]},
            {},
        ]
        assert [r.attributes["age"] for r in records] == [60, 60, 5, 9]

    def test_reading_does_not_probe_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        signals = write_npz(tmp_path / "s.npz")
        layout = opened(tmp_path)
        reader = readers.READERS[".npz"]
        loads: list[Path] = []

        def load(records: Any) -> np.ndarray:
            loads.append(records.path)
            assert reader.load is not None
            return reader.load(records)

        monkeypatch.setitem(readers.READERS, ".npz", reader._replace(probe=None, load=load))
        for ref, expected in zip(layout.found, signals, strict=True):
            np.testing.assert_array_equal(layout.read(tmp_path, ref).signal, expected)
        assert len(loads) == 1
        moved = tmp_path / "moved"
        moved.mkdir()
        (tmp_path / "s.npz").rename(moved / "s.npz")
        np.testing.assert_array_equal(layout.read(moved, layout.found[2]).signal, signals[2])


LABELS = {
    "text": ({"y": ["b", "a", "", "b"]}, {}, ("a", "b"), True, [[0, 1], [1, 0], None, [0, 1]]),
    "bytes": ({"y": [b"b", b"a", b"b", b" "]}, {}, ("a", "b"), True,
              [[0, 1], [1, 0], [0, 1], None]),
    "numbers": ({"y": [2, 10, -1, 2]}, {}, ("2", "10"), True, [[1, 0], [0, 1], None, [1, 0]]),
    "floats": ({"y": [0.0, 1.0, np.nan, 0.0]}, {}, ("0", "1"), True,
               [[1, 0], [0, 1], None, [1, 0]]),
    "truth": ({"y": [True, False, False, False]}, {}, ("0", "1"), True,
              [[0, 1], [1, 0], [1, 0], [1, 0]]),
    "named numbers": ({"y": [1, 0, -1, 1]}, {"label_names": ["no", "yes", "maybe"]},
                      ("no", "yes", "maybe"), True, [[0, 1, 0], [1, 0, 0], None, [0, 1, 0]]),
    "declared text": ({"y": ["b", "a", "b", "b"]}, {"label_names": ["c", "b", "a"]},
                      ("c", "b", "a"), True, [[0, 1, 0], [0, 0, 1], [0, 1, 0], [0, 1, 0]]),
    "matrix": ({"y": np.int8([[1, 1], [0, 0], [-1, -1], [0, 1]])}, {"label_names": ["p", "q"]},
               ("p", "q"), False, [[1, 1], [0, 0], None, [0, 1]]),
    "float matrix": ({"y": [[1.0, 0.0], [np.nan, 0.0], [0.0, 0.0], [1.0, 1.0]],
                      "k": ["p", "q"]}, {"label_names_array": "k"},
                     ("p", "q"), False, [[1, 0], None, [0, 0], [1, 1]]),
}  # fmt: skip


@pytest.mark.parametrize("name", LABELS)
def test_labels_of_an_array(name: str, tmp_path: Path) -> None:
    members, fields, classes, exclusive, expected = LABELS[name]
    write_npz(tmp_path / "s.npz", **members)
    write_manifest(tmp_path, {"file": "s.npz", "label_array": "y", **fields})
    layout = opened(tmp_path)
    (task,) = layout.tasks
    assert (task.name, task.classes, task.exclusive) == ("label", classes, exclusive)
    assert labels_of(layout, tmp_path) == expected


def test_labels_of_files(tmp_path: Path, signal: np.ndarray) -> None:
    for name in ("a", "b", "c", "d"):
        write_csv(tmp_path / f"{name}.csv", signal)
    write_manifest(
        tmp_path,
        {"file": "a.csv", "label": "walk"},
        {"file": "[b-c].csv", "labels": {"b": "sit", "c": 5}},
        {"file": "d.csv"},
    )
    layout = opened(tmp_path)
    assert layout.tasks[0].classes == ("5", "sit", "walk")
    assert labels_of(layout, tmp_path) == [[0, 0, 1], [0, 1, 0], [1, 0, 0], None]
    write_manifest(tmp_path, {"file": "*.csv"})
    assert opened(tmp_path).tasks == ()


def test_other_classes_make_other_shards(tmp_path: Path, signal: np.ndarray) -> None:
    write_csv(tmp_path / "a.csv", signal)
    details = []
    for names in (["x", "y"], ["y", "x"]):
        write_manifest(tmp_path, {"file": "a.csv", "label": "x"}, label_names=names)
        details.append(repr(opened(tmp_path).found[0].details))
    assert details[0] != details[1]


WRONG_LABELS = [
    ({}, {"label_array": "z"}, r"has no member 'z'; it has X, channels, fs"),
    ({"y": [1, 2]}, {"label_array": "y"}, r"member 'y' has shape \(2,\); one value for each of 4"),
    ({"y": np.zeros((4, 2, 2))}, {"label_array": "y"}, r"shape \(4, 2, 2\)"),
    ({"y": np.zeros((3, 2))}, {"label_array": "y", "label_names": ["a", "b"]}, "3 rows for 4 rec"),
    ({"y": np.zeros((4, 2))}, {"label_array": "y"}, "has 2 columns and 0 class names"),
    ({"y": np.zeros((4, 2))}, {"label_array": "y", "label_names": ["a"]}, "and 1 class names"),
    ({"y": np.full((4, 2), 2)}, {"label_array": "y", "label_names": ["a", "b"]},
     r"record 0 reads 2\.0, 2\.0; 0 and 1 are expected"),
    ({"y": [["a"]] * 4}, {"label_array": "y", "label_names": ["a"]}, "a matrix of <U1"),
    ({"y": [0.5, 1, 1, 1]}, {"label_array": "y"}, r"record 0 is 0\.5; a text or integer"),
    ({"y": [0, 1, 2, 1]}, {"label_array": "y", "label_names": ["a", "b"]},
     "record 2 is 2, which is not among the 2 classes a, b"),
    ({"y": list("abca")}, {"label_array": "y", "label_names": ["a", "b"]},
     "label 'c' is not among the classes a, b"),
    ({"y": [-1] * 4}, {"label_array": "y"}, "no record has a label"),
    ({"y": [1j] * 4}, {"label_array": "y"}, "is an array of complex128"),
    ({"y": np.array([{}] * 4)}, {"label_array": "y"}, "Object arrays cannot be loaded"),
    ({"y": [1] * 4, "k": ["a", "a"]}, {"label_array": "y", "label_names_array": "k"},
     "reads a, a; each class must occur once"),
    ({}, {"label": "a", "label_names": ["b"]}, "label 'a' is not among the classes b"),
    ({}, {"labels": {"t": "a"}}, "'labels' names t, which are not among its files s "),
    ({"f": [1, 1]}, {"fold_array": "f"}, r"'fold' of .*member 'f' has shape \(2,\)"),
    ({"f": [1, 2, 3, 4], "w": [1, 1, 2, 2]}, {"fold_array": "f", "subject_array": "w"},
     r"subject 1 is in fold 1 \(record s/0\) and in fold 2 \(record s/1\)"),
    ({}, {"attribute_arrays": {"age": "years"}}, "no member 'years'"),
]  # fmt: skip


@pytest.mark.parametrize(("members", "fields", "message"), WRONG_LABELS)
def test_wrong_labels_are_named(
    members: dict[str, Any], fields: dict[str, Any], message: str, tmp_path: Path
) -> None:
    write_npz(tmp_path / "s.npz", **members)
    write_manifest(tmp_path, {"file": "s.npz", **fields})
    with pytest.raises(DataError, match=message):
        opened(tmp_path)


def test_files_must_agree_on_the_labels(tmp_path: Path) -> None:
    matrix = np.eye(4, 2, dtype=int)
    write_npz(tmp_path / "a.npz", y=matrix)
    write_npz(tmp_path / "b.npz", y=matrix)
    write_npz(tmp_path / "c.npz", y=[1, 2, 3, 4])
    first = {"file": "a.npz", "label_array": "y", "label_names": ["p", "q"]}
    write_manifest(tmp_path, first, {"file": "c.npz", "label_array": "y"})
    with pytest.raises(DataError, match="one gives one class per record and the other a matrix"):
        opened(tmp_path)
    write_manifest(
        tmp_path, first, {"file": "b.npz", "label_array": "y", "label_names": ["q", "p"]}
    )
    with pytest.raises(DataError, match=r"has the classes q, p, .* has p, q; all matrices"):
        opened(tmp_path)


ENTRY = {"file": "a.npz"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({**ENTRY, "label": "a", "labels": {"a": "b"}}, "the label twice, by label and labels"),
        (
            {**ENTRY, "label_array": "y", "label_names": ["a"], "label_names_array": "k"},
            "classes tw",
        ),
        ({**ENTRY, "label_names_array": "k"}, "names the classes of a 'label_array'"),
        ({**ENTRY, "label_names": []}, "must list each class once"),
        ({**ENTRY, "label_names": ["a", " a"]}, "must list each class once"),
        ({**ENTRY, "label_names": "ab"}, "must list each class once"),
        ({**ENTRY, "label": ""}, "label must be a text or integer"),
        (
            {**ENTRY, "labels": ["a"]},
            r"'labels' must be an object \{file name without suffix: label",
        ),
        ({**ENTRY, "label_array": 3}, "'label_array' must be a text, found 3"),
        ({**ENTRY, "attribute_arrays": []}, r"must be an object \{attribute: npz member\}"),
        ({**ENTRY, "attribute_arrays": {"age": 3}}, r"attribute_arrays\['age'\].* found 3"),
        ({**ENTRY, "fold_array": "f", "attribute_arrays": {"fold": "f"}}, "the fold twice"),
        ({**ENTRY, "label_aray": "y"}, "Did you mean 'label_array'"),
    ],
)
def test_manifest_mistakes_are_named(content: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=f"M.*{message}"):
        parse_manifest({"recordings": [content]}, "M")


def test_defaults_reach_the_files_that_can_have_them(tmp_path: Path, signal: np.ndarray) -> None:
    write_npz(tmp_path / "s.npz", f=["a", "a", "b", ""], age=[1.5, np.nan, 3, 4])
    write_csv(tmp_path / "c.csv", signal)
    write_manifest(
        tmp_path, ENTRY | {"file": "s.npz"}, {"file": "c.csv"},
        fold_array="f", attribute_arrays={"age": "age"},
    )  # fmt: skip
    attributes = [ref.details["attributes"] for ref in opened(tmp_path).found]
    assert attributes == [
        {"fold": "a", "age": 1.5},
        {"fold": "a"},
        {"fold": "b", "age": 3.0},
        {"age": 4.0},
        {},
    ]
    write_manifest(tmp_path, {"file": "c.csv", "fold_array": "f"})
    with pytest.raises(
        DataError, match=r"'fold_array' names a member of an \.npz; .*c\.csv is not an \.npz"
    ):
        opened(tmp_path)


class TestTheCommandLine:
    @pytest.mark.parametrize("name", ["My", "my-set", "1st", "_", "a b", "../x", "ptbxl", "folder"])
    def test_names(self, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write_npz(tmp_path / "s.npz")
        status, said = run(
            capsys, "folder", f"--name={name}", f"--source={tmp_path}", f"--out={tmp_path / 'out'}"
        )
        assert status == 2
        assert f"--name={name!r}" in said
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["ptbxl", "--name=x", "--out=o"], "--name is only for your own files"),
            (["mitbih", "--manifest=x", "--out=o"], "--manifest is only for your own files"),
            (["mitbih", "--draft_manifest"], "--draft_manifest is only for your own files"),
            (["folder", "--out=o"], "needs a name"),
            (["folder", "--name=x"], "--out is missing"),
            (["folder/x", "--name=x", "--out=o"], "is only for your own files"),
            (["nothing", "--out=o"], "'folder' prepares your own recordings"),
        ],
    )
    def test_flags_that_do_not_belong(
        self, arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        status, said = run(capsys, *arguments, f"--source={tmp_path}")
        assert status == 2
        assert message in said

    def test_a_draft_is_written_once_and_works_when_filled_in(
        self, tmp_path: Path, signal: np.ndarray, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in ("a.npy", "b.npy"):
            np.save(tmp_path / name, signal)
        flags = ("folder", "--name=mine", f"--source={tmp_path}", f"--out={tmp_path / 'out'}")
        status, said = run(capsys, *flags)
        assert status == 2
        assert "do not describe themselves" in said
        assert "with --draft_manifest writes this draft" in said
        status, said = run(capsys, *flags, "--draft_manifest")
        path = tmp_path / "manifest.json"
        assert status == 0
        assert f"written: {path}" in said
        assert "Replace every '?' (channels, sampling_rate_hz)" in said
        assert run(capsys, *flags)[0] == 2
        content = json.loads(path.read_text())
        (entry,) = content["recordings"]
        assert entry["file"] == "*.npy"
        entry |= {"sampling_rate_hz": 100, "channels": NAMES}
        path.write_text(json.dumps(content))
        status, said = run(capsys, *flags, "--draft_manifest")
        assert status == 2
        assert "exists already and is not changed" in said
        assert json.loads(path.read_text()) == json.loads(json.dumps(content))
        assert run(capsys, *flags)[0] == 0

    def test_drafts_elsewhere(self, tmp_path: Path) -> None:
        write_npz(tmp_path / "s.npz")
        said = write_draft(tmp_path, tmp_path / "m.json")
        assert "nothing needs to be added" in said
        assert opened(tmp_path, manifest_path=tmp_path / "m.json").found
        with pytest.raises(UserError, match=r"cannot be written to .*no/m\.json: No such"):
            write_draft(tmp_path, tmp_path / "no" / "m.json")

    def test_broken_files_can_be_excluded(
        self, tmp_path: Path, signal: np.ndarray, capsys: pytest.CaptureFixture[str]
    ) -> None:
        raw = tmp_path / "raw"
        raw.mkdir()
        write_csv(raw / "a.csv", signal)
        (raw / "b.csv").write_bytes(b"\xff\xfe\x00")
        write_wfdb(raw, "w", signal)
        data = bytearray((raw / "w.dat").read_bytes())
        data[100] ^= 1
        (raw / "w.dat").write_bytes(bytes(data))
        flags = ("folder", "--name=mine", f"--source={raw}", f"--out={tmp_path / 'out'}")
        status, said = run(capsys, *flags)
        assert status == 2
        assert "2 of 3 recordings" in said
        assert "b.csv cannot be read" in said
        assert "have the checksum" in said
        status, said = run(capsys, *flags, "--on_invalid=skip")
        assert status == 0
        assert "1 of 3 recordings kept" in said


def test_indistinguishable_channels_are_rejected(tmp_path: Path, signal: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", X=signal, channels=["PPG", "pleth", "II"], fs=100)
    layout = opened(tmp_path)
    (ref,) = layout.found
    with pytest.raises(DataError, match=r"a\.npz has 2 channels named 'PPG' .*rename them"):
        layout.read(tmp_path, ref)


def test_names_of_other_sets_are_rejected() -> None:
    with pytest.raises(ConfigError, match="name of another data set"):
        open_own_folder("mitbih", Path("/"), other_names=list(LAYOUTS))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--name=synthetic", "--out={0}/out"], "'synthetic' is the name of another data set"),
        (["--name=mine", "--out={0}/file"], "/file is a file; give a folder"),
        (["--name=mine", "--out={0}/file/deeper"], "/file is a file; give a folder"),
    ],
)
def test_what_cannot_be_written_or_would_never_be_read_is_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], words: str
) -> None:
    (tmp_path / "file").touch()
    given = [flag.format(tmp_path) for flag in flags]
    status, said = run(capsys, "folder", f"--source={tmp_path}", *given)
    assert status == 2
    assert words in said


class TestRealFiles:
    def test_bidmc(self, shared: Path) -> None:
        folder = shared / "data" / "bidmc"
        layout = opened(folder, manifest_path=MANIFESTS / "bidmc.json")
        assert (len(layout.found), layout.tasks) == (42, ())
        assert len({ref.subject_id for ref in layout.found}) == 35
        with np.load(folder / "bidmc_125hz.npz") as members:
            expected = members["X"][3].T
        recording = layout.read(folder, layout.found[3])
        assert recording.channels == ("PPG", "II", "RESP")
        np.testing.assert_array_equal(recording.signal, expected)

    def test_ptbxl_subset_with_labels(self, shared: Path, tmp_path: Path) -> None:
        folder = shared / "data" / "ptbxl_subset"
        content = json.loads((MANIFESTS / "ptbxl_subset.json").read_text())
        content |= {"fold_array": "strat_fold", "attribute_arrays": {"age": "age", "sex": "sex"}}
        content["recordings"][0] |= {
            "label_array": "y_super", "label_names_array": "super_names"
        }  # fmt: skip
        (tmp_path / "m.json").write_text(json.dumps(content))
        layout = opened(folder, manifest_path=tmp_path / "m.json")
        (task,) = layout.tasks
        assert task.classes == ("NORM", "MI", "STTC", "CD", "HYP")
        assert not task.exclusive
        assert layout.filters.startswith("band-passed")
        with np.load(next(folder.glob("*.npz"))) as members:
            labels, fold = members["y_super"], members["strat_fold"]
        assert (labels < 0).any(axis=1).sum() > 0
        for index, ref in enumerate(layout.found):
            said = ref.details["labels"]
            assert ref.details["attributes"]["fold"] == fold[index]
            if labels[index].min() < 0:
                assert said is None
            else:
                np.testing.assert_array_equal(task.encode(said), labels[index])
        recording = layout.read(folder, layout.found[0])
        assert recording.units == ("",) * 12
        np.testing.assert_array_equal(recording.labels["label"], labels[0])

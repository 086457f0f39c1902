"""A user's own files become a data set of their own."""

import json
import pickle
from pathlib import Path
from typing import Any

import edfio
import numpy as np
import pandas
import pytest

from physio_mae_jax.data.formats import readers
from physio_mae_jax.data.prepared_index import read_metadata, read_prepared_index
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.preparation.layouts.folder import open_own_folder
from physio_mae_jax.preparation.registry import LAYOUTS
from tests.folders import MANIFESTS, write_csv, write_manifest, write_wfdb
from tests.preparation.layouts.own_data import NAMES, opened, run, write_npz


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


def test_indistinguishable_channels_are_rejected(tmp_path: Path, signal: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", X=signal, channels=["PPG", "pleth", "II"], fs=100)
    layout = opened(tmp_path)
    (ref,) = layout.found
    with pytest.raises(DataError, match=r"a\.npz has 2 channels named 'PPG' .*rename them"):
        layout.read(tmp_path, ref)


def test_the_terms_of_a_manifest_are_those_of_the_set(tmp_path: Path, signal: np.ndarray) -> None:
    write_csv(tmp_path / "c.csv", signal, 250.0)
    terms = {"license": "CC BY 4.0", "homepage": "https://example.org", "citation": "A, B, 2020"}
    content = {"recordings": [{"file": "c.csv"}], **terms}
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    layout = opened(tmp_path)
    assert (layout.license, layout.homepage, layout.citation) == tuple(terms.values())
    (tmp_path / "manifest.json").write_text(json.dumps(content | {"license": 4}))
    with pytest.raises(DataError, match="license"):
        opened(tmp_path)


def test_names_of_other_sets_are_rejected() -> None:
    with pytest.raises(ConfigError, match="name of another data set"):
        open_own_folder("mitbih", Path("/"), other_names=list(LAYOUTS))


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
        task, statements = layout.tasks
        assert task.classes == ("NORM", "MI", "STTC", "CD", "HYP")
        assert (statements.name, len(statements.classes)) == ("statements", 71)
        assert not task.exclusive
        assert not statements.exclusive
        assert layout.filters.startswith("band-passed")
        with np.load(next(folder.glob("*.npz"))) as members:
            labels, fold, statement = members["y_super"], members["strat_fold"], members["y_all"]
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
        np.testing.assert_array_equal(recording.labels["statements"], statement[0])

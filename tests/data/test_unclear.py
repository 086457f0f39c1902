"""Names and units that mean nothing are reported once where data is opened, prepared or learned."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.data.unclear import (
    reject_duplicate_channels,
    warn_about_names,
    warn_about_newly_recognized_names,
    warn_about_units,
)
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.prepare import main
from physio_mae_jax.signals.vocabulary import NUM_FIRST_NAMES, VOCABULARY
from tests.data.unclear_folders import write


def manifest(folder: Path, *entries: dict, **defaults) -> None:
    (folder / "manifest.json").write_text(json.dumps({"recordings": list(entries), **defaults}))


def test_names_are_told_once_with_how_often_they_occur(caplog):
    warn_about_names("set", [("II", "A"), ("A", "B")])
    assert len(caplog.records) == 1
    assert "A (in 2), B" in caplog.text
    caplog.clear()
    warn_about_names("set", [("II", "EEG_C3", "V")])
    assert not caplog.records


def test_units_known_in_part_are_told_and_those_known_nowhere_are_not(caplog):
    warn_about_units("set", [("a", ("II", "X"), ("mV", "")), ("b", ("II", "X"), ("", ""))])
    assert len(caplog.records) == 1
    assert "channel II is in mV, but its unit is not known in b" in caplog.text
    caplog.clear()
    warn_about_units("set", [("a", ("C3",), ("?V",))])
    assert "the unit '?V' (C3 of a) is not known" in caplog.text


def test_two_channels_without_identity_are_rejected_and_one_is_not():
    alike = [("r", ("A", "II", "B"), np.array([0, 2, 0]))]
    with pytest.raises(ConfigError, match=r"recording 'r'.*does not know A, B"):
        reject_duplicate_channels(alike, len(VOCABULARY))
    reject_duplicate_channels([("r", ("A", "II"), np.array([0, 2]))], len(VOCABULARY))
    late = [("r", ("EEG_FPZ", "EEG_AF7"), np.array([NUM_FIRST_NAMES, NUM_FIRST_NAMES + 1]))]
    reject_duplicate_channels(late, len(VOCABULARY))
    with pytest.raises(ConfigError, match="EEG_FPZ, EEG_AF7"):
        reject_duplicate_channels(late, NUM_FIRST_NAMES)


def test_a_folder_tells_its_unknown_names_when_it_is_opened(tmp_path, caplog):
    write(tmp_path / "f", "a", ["II", "left hand"])
    with caplog.at_level(logging.WARNING):
        open_folder(tmp_path / "f")
    reported = [r.getMessage() for r in caplog.records if "left hand" in r.getMessage()]
    assert len(reported) == 1


def prepared(folder: Path, out: Path) -> tuple[dict, list[dict], str]:
    main(["folder", "--name=x", f"--source={folder}", f"--out={out}", "--workers=1"])
    position = out / "x" / "1.0.0"
    lines = (position / "recordings.jsonl").read_text().splitlines()
    report = (position / "report.md").read_text()
    return (
        json.loads((position / "dataset.json").read_text()),
        list(map(json.loads, lines)),
        report,
    )


def test_files_of_several_units_are_prepared_in_one(tmp_path):
    write(tmp_path / "f", "a", ["II"])
    write(tmp_path / "f", "b", ["II"])
    manifest(tmp_path / "f", {"file": "a.npz", "units": "mV"}, {"file": "b.npz", "units": "ÂµV"})
    model_spec, records, report = prepared(tmp_path / "f", tmp_path / "out")
    assert model_spec["channels"] == {"II": "mV"}
    assert [record["units"] for record in records] == [["mV"], ["mV"]]
    assert "II: uV × 0.001 = mV" in report


def test_a_unit_that_is_not_known_of_some_files_is_no_unit_of_the_set(tmp_path, caplog):
    write(tmp_path / "f", "a", ["II"])
    write(tmp_path / "f", "b", ["II"])
    manifest(tmp_path / "f", {"file": "a.npz", "units": "mV"}, {"file": "b.npz"})
    model_spec, records, _ = prepared(tmp_path / "f", tmp_path / "out")
    assert model_spec["channels"] == {"II": ""}
    assert [record["units"] for record in records] == [["mV"], [""]]
    assert "its unit is not known in b.npz" in caplog.text


def test_labels_that_say_there_is_none_are_counted_and_are_no_class(tmp_path):
    signal = np.random.default_rng(0).normal(size=(6, 1, 1500)).astype(np.float32)
    (tmp_path / "f").mkdir()
    labels = np.array(["AF", "nan", " None ", "SR", "<NA>", "N/A"])
    np.savez(tmp_path / "f" / "c.npz", X=signal, channels=["II"], fs=100, y=labels)
    manifest(tmp_path / "f", {"file": "c.npz", "label_array": "y"})
    model_spec, records, report = prepared(tmp_path / "f", tmp_path / "out")
    assert model_spec["tasks"][0]["classes"] == ["AF", "SR"]
    assert sum("label" in record["labels"] for record in records) == 2
    assert "4 of 6 recordings have no label of task 'label'" in report


def test_none_is_a_class_where_it_is_declared_and_nan_never(tmp_path):
    (tmp_path / "f").mkdir()
    signal = np.random.default_rng(0).normal(size=(3, 1, 1500)).astype(np.float32)
    np.savez(tmp_path / "f" / "c.npz", X=signal, channels=["II"], fs=100, y=["none", "AF", "nan"])
    entry = {"file": "c.npz", "label_array": "y", "label_names": ["none", "AF"]}
    manifest(tmp_path / "f", entry)
    model_spec, records, _ = prepared(tmp_path / "f", tmp_path / "out")
    assert model_spec["tasks"][0]["classes"] == ["none", "AF"]
    assert [record["labels"].get("label") for record in records] == [[0], [1], None]
    manifest(tmp_path / "f", entry | {"label_names": ["none", "AF", "nan"]})
    from physio_mae_jax.preparation.layouts.folder import open_own_folder

    with pytest.raises(DataError, match=r"has the class 'nan', which marks a missing label"):
        open_own_folder("y", tmp_path / "f")


def test_names_that_meant_nothing_in_training_are_reported(caplog):
    warn_about_newly_recognized_names("runs/eeg", ("II", "EEG_C3", "left"))
    assert not caplog.records
    warn_about_newly_recognized_names("runs/eeg", ("Fp1", "II"))
    assert (
        "runs/eeg was trained by a version that did not know the channel names Fp1 (EEG_FP1)"
        in (caplog.text)
    )

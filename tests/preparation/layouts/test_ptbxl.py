"""The layout of PTB-XL: broken tables, and the data set as it is shipped."""

import ast
import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import wfdb

from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.ptbxl import PtbXl
from tests.layouts import debug_run
from tests.preparation.ptbxl_source import files, make_source, prepare


def rows_of(source):
    path = source / "ptbxl_database.csv"
    return path, path.read_text(encoding="utf-8").splitlines()


def change(source, line, old, new):
    path, lines = rows_of(source)
    assert old in lines[line], lines[line]
    lines[line] = lines[line].replace(old, new, 1)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


TABLES = {
    "two folds": (
        lambda s: change(s, 2, ",2,records", ",9,records"),
        r"subject 1 is in fold 9 \(record 2\) and in fold 2 \(record 3\)",
    ),
    "one id": (
        lambda s: change(s, 2, "2,1.0", "1,1.0"),
        r"record id '1' occurs twice \(records100/00000/00002_lr\.dat",
    ),
    "codes": (lambda s: change(s, 1, "{'IMI'", "{IMI"), r"line 2: scp_codes reads .\{IMI"),
    "unknown code": (lambda s: change(s, 1, "IMI", "XYZ"), r"statement 'XYZ' is not in scp_st"),
    "patient": (lambda s: change(s, 1, "1,0.0", "1,who"), r"patient_id is 'who'; an integer"),
    "cells": (lambda s: change(s, 3, ",x", ""), r"row 4: 7 cells where the header has 8"),
    "columns": (lambda s: change(s, 0, "strat_fold", "fold"), r"has no column 'strat_fold'"),
    "no table": (lambda s: (s / "scp_statements.csv").unlink(), r"scp_statements\.csv is missing"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_broken_tables_are_told_before_anything_is_written(kind, tmp_path):
    damage, message = TABLES[kind]
    source = make_source(tmp_path / "raw", count=5)
    damage(source)
    with pytest.raises(DataError, match=message):
        prepare(source, tmp_path / "out")
    assert files(tmp_path / "out") in ([], ["ptbxl/100hz/.preparing-1.0.0/.lock"])


def test_ptbxl_as_it_is_shipped(shared, tmp_path):
    """Every sample of every record through wfdb, every label against the tables."""
    raw = shared / "data" / "ptbxl_native"
    builder, report = prepare(raw, tmp_path)
    assert not report.rejections
    prepared = PreparedSource(Path(builder.data_dir))
    with (raw / "ptbxl_database.csv").open(encoding="utf-8") as file:
        rows = {row["ecg_id"]: row for row in csv.DictReader(file)}
    with (raw / "scp_statements.csv").open(encoding="utf-8") as file:
        statements = {row[""]: row for row in csv.DictReader(file)}
    assert set(rows) == {info.record_id for info in prepared.recordings}
    for index, (info, record) in enumerate(zip(prepared.recordings, prepared.records, strict=True)):
        row = rows[info.record_id]
        reference = wfdb.rdrecord(str(raw / row["filename_lr"]))
        ours = prepared.read(index, 0, info.num_samples)
        assert np.abs(ours.T - reference.p_signal).max() <= 0.5 / reference.adc_gain[0]
        codes = set(ast.literal_eval(row["scp_codes"]))
        named = {
            task["name"]: {task["classes"][i] for i in record.labels[task["name"]]}
            for task in prepared.metadata.tasks
        }
        diagnostic = {c for c in codes if statements[c]["diagnostic"] == "1.0"}
        assert named["all"] == codes
        assert named["diagnostic"] == diagnostic
        assert named["form"] == {c for c in codes if statements[c]["form"] == "1.0"}
        assert named["rhythm"] == {c for c in codes if statements[c]["rhythm"] == "1.0"}
        assert named["superclass"] == {statements[c]["diagnostic_class"] for c in diagnostic}
        assert named["subclass"] == {statements[c]["diagnostic_subclass"] for c in diagnostic}
        assert info.subject_id == str(int(float(row["patient_id"])))
        assert info.attributes["fold"] == int(row["strat_fold"])


def test_a_layout_is_a_value():
    """Two equal ones make the same data set, also in another process."""
    assert dataclasses.asdict(PtbXl()) == {"sampling_rate_hz": 100}
    assert PtbXl() == PtbXl(100) != PtbXl(500)


def test_a_debug_run_learns_superclasses(tmp_path):
    source = make_source(tmp_path / "raw", count=60)
    prepare(source, tmp_path / "data")
    changes = {"labels.classes": "NORM,MI"}
    evaluation = debug_run("ptbxl", tmp_path / "data", tmp_path / "run", **changes)
    assert evaluation["title"] == "superclass on ptbxl"
    assert evaluation["context"]["split"]["rule"] == "fold=1-8|9|10"

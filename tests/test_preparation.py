"""Preparing: nothing half-written, nothing lost, the same samples and labels as in the source."""

import ast
import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
import wfdb

from physio_mae_jax import atomic_files
from physio_mae_jax.data.labels import recording_labels
from physio_mae_jax.data.prepared import PreparedSource, find_prepared
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.preparation.builder import make_builder
from physio_mae_jax.preparation.executors import process_executor
from physio_mae_jax.preparation.layouts.ptbxl import PtbXl
from physio_mae_jax.preparation.registry import LAYOUTS, get_layout
from physio_mae_jax.signals.channels import TWELVE_LEADS

REPOSITORY = Path(__file__).parent.parent
HEADER = "ecg_id,patient_id,age,sex,scp_codes,strat_fold,filename_lr,filename_hr"
STATEMENTS = """,description,diagnostic,form,rhythm,diagnostic_class,diagnostic_subclass
NORM,normal,1.0,,,NORM,NORM
IMI,infarction,1.0,,,MI,IMI
SR,sinus,,,1.0,,
PVC,ectopic,,1.0,,,
"""
CODES = ("{'NORM': 100.0, 'SR': 0.0}", "{'IMI': 15.0, 'PVC': 100.0}", "{'SR': 0.0}")


def make_source(folder, count=24, rate=100, samples=1000):
    """Write a small PTB-XL with signals that are known."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scp_statements.csv").write_text(STATEMENTS, encoding="utf-8")
    rows = [HEADER]
    for number in range(1, count + 1):
        position = folder / "records100" / "00000"
        position.mkdir(parents=True, exist_ok=True)
        digital = np.random.default_rng(number).integers(-900, 900, (samples, 12))
        wfdb.wrsamp(
            f"{number:05d}_lr",
            fs=rate,
            units=["mV"] * 12,
            sig_name=[name.upper() for name in TWELVE_LEADS],
            d_signal=digital,
            fmt=["16"] * 12,
            adc_gain=[1000.0] * 12,
            baseline=[0] * 12,
            write_dir=str(position),
        )
        codes = CODES[number % 3]
        path = f"records100/00000/{number:05d}_lr"
        rows.append(f'{number},{number // 2}.0,56.0,1,"{codes}",{number // 2 % 10 + 1},{path},x')
    (folder / "ptbxl_database.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_source(tmp_path_factory.mktemp("raw") / "ptbxl")


def prepare(source, out, **options):
    builder = make_builder(PtbXl())(source=source, data_dir=out, **options)
    return builder, builder.prepare()


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_samples_labels_and_ids_are_those_of_the_source(source, tmp_path):
    builder, report = prepare(source, tmp_path)
    assert len(report.records) == 24
    assert report.num_subjects == 13
    prepared = PreparedSource(Path(builder.data_dir))
    assert prepared.metadata.channels == dict.fromkeys(TWELVE_LEADS, "mV")
    for index, info in enumerate(prepared.recordings):
        expected = np.random.default_rng(int(info.record_id)).integers(-900, 900, (1000, 12)).T
        ours = prepared.read(index, 0, 1000)
        assert np.abs(ours * 1000 - expected).max() < 0.5
        assert info.subject_id == str(int(info.record_id) // 2)
        assert info.channel_names == TWELVE_LEADS
        assert info.attributes == {
            "fold": int(info.record_id) // 2 % 10 + 1,
            "sex": "female",
            "age": 56.0,
        }
    labels = recording_labels(ConcatSource([prepared], [range(24)]), range(24), "superclass")
    assert labels.classes == ("NORM", "MI", "STTC", "CD", "HYP")
    for row, info in zip(labels.values, prepared.recordings, strict=True):
        assert row.tolist() == [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0] * 5][int(info.record_id) % 3]


def test_tfds_opens_it_without_our_code(source, tmp_path):
    builder, _ = prepare(source, tmp_path)
    examples = tfds.builder_from_directory(builder.data_dir).as_data_source(split="recordings")
    assert len(examples) == 24
    example = examples[2]
    assert example["record_id"] == b"3"
    assert example["signal"].shape == (12, 1000)
    assert example["labels_rhythm"].tolist() == [1] + [0] * 11
    assert example["units"] == ",".join(["mV"] * 12).encode()


def test_interval_is_read_across_segments(tmp_path):
    source = make_source(tmp_path / "raw", count=2, samples=14_000)
    builder, _ = prepare(source, tmp_path / "out")
    prepared = PreparedSource(Path(builder.data_dir))
    assert prepared.records[1].num_examples == 3
    expected = np.random.default_rng(2).integers(-900, 900, (14_000, 12)).T
    for start, stop in ((0, 14_000), (5_990, 6_010), (11_999, 12_001), (13_999, 14_000), (7, 7)):
        ours = prepared.read(1, start, stop)
        assert ours.shape == (12, stop - start)
        np.testing.assert_allclose(ours * 1000, expected[:, start:stop], atol=0.4)
    with pytest.raises(DataError, match=r"samples \[13999, 14001\)"):
        prepared.read(1, 13_999, 14_001)


def test_processes_write_what_one_does(source, tmp_path):
    prepare(source, tmp_path / "one")
    prepare(source, tmp_path / "two", executor=process_executor(2))
    ours, theirs = (find_prepared(tmp_path / name, "ptbxl") for name in ("one", "two"))
    assert files(ours) == files(theirs)
    for name in ("recordings.jsonl", "dataset.json", "dataset_info.json"):
        assert (ours / name).read_text() == (theirs / name).read_text()


def run_command(source, out, *arguments, **options):
    return subprocess.run(
        [
            *(sys.executable, "-m", "physio_mae_jax.prepare", "ptbxl"),
            *(f"--source={source}", f"--out={out}", "--workers=1", *arguments),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


def test_the_command_prepares_says_what_it_kept_and_rejects_to_do_it_twice(source, tmp_path):
    done = run_command(source, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "24 of 24 recordings kept: 13 subjects" in done.stdout
    assert "recordings/s" in done.stdout
    again = run_command(source, tmp_path)
    assert again.returncode == 2
    assert "exists already; use it, or prepare it again with --overwrite" in again.stderr
    assert "Traceback" not in again.stderr
    assert run_command(source, tmp_path, "--overwrite").returncode == 0


def test_killed_preparation_leaves_no_data_set_and_resumes(source, tmp_path):
    """SIGKILL at several moments; the result is that of an undisturbed run."""
    prepare(source, tmp_path / "whole")
    out = tmp_path / "killed"
    staging = out / "ptbxl" / "100hz" / ".preparing-1.0.0"
    for shards_before_the_kill in (0, 0, 2):
        process = subprocess.Popen(
            [sys.executable, "-c", SLOW, str(source), str(out)], cwd=REPOSITORY
        )
        wait_for(staging.is_dir, process)

        def enough(count=shards_before_the_kill):
            return len(list(staging.glob("*.json"))) >= count

        wait_for(enough, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert find_prepared(out, "ptbxl") is None
    assert 2 <= len(list(staging.glob("*.json"))) < 8
    builder, _ = prepare(source, out)
    assert not staging.exists()
    whole = find_prepared(tmp_path / "whole", "ptbxl")
    for name in ("recordings.jsonl", "dataset.json"):
        assert (Path(builder.data_dir) / name).read_text() == (whole / name).read_text()
    ours, theirs = PreparedSource(Path(builder.data_dir)), PreparedSource(whole)
    for index in range(24):
        np.testing.assert_array_equal(ours.read(index, 0, 1000), theirs.read(index, 0, 1000))


def wait_for(condition, process, seconds=60):
    """Wait until something is true while a process runs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the process ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.01)


SLOW = """
import sys, time
from pathlib import Path
from physio_mae_jax.preparation.builder import make_builder
from physio_mae_jax.preparation.layouts.ptbxl import PtbXl

class Slow(PtbXl):
    def read(self, source, ref):
        time.sleep(0.05)
        return super().read(source, ref)

# The real layout is fingerprinted, so that the next run takes the shards over.
class SlowBuilder(make_builder(PtbXl()), skip_registration=True):
    name = "ptbxl"
    layout = Slow()

SlowBuilder(source=Path(sys.argv[1]), data_dir=sys.argv[2]).prepare()
"""


def test_concurrent_preparations_are_rejected(source, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(source), str(tmp_path)], cwd=REPOSITORY
    )
    try:
        lock = tmp_path / "ptbxl" / "100hz" / ".preparing-1.0.0" / ".lock"
        wait_for(lock.exists, process)
        time.sleep(0.1)
        with pytest.raises(UserError, match="another process is preparing"):
            prepare(source, tmp_path)
    finally:
        process.kill()
        process.wait()


def damage_dat(folder):
    path = folder / "records100" / "00000" / "00003_lr.dat"
    path.write_bytes(path.read_bytes()[:5000])


def damage_header(folder):
    (folder / "records100" / "00000" / "00003_lr.dat").unlink()


def damage_sum(folder):
    path = folder / "records100" / "00000" / "00003_lr.dat"
    content = bytearray(path.read_bytes())
    content[777] ^= 0x11
    path.write_bytes(bytes(content))


def damage_length(folder):
    path = folder / "records100" / "00000" / "00003_lr.hea"
    path.write_text(path.read_text().replace("12 100 1000", "12 100 0"), encoding="utf-8")
    (folder / "records100" / "00000" / "00003_lr.dat").write_bytes(b"")


def damage_rate(folder):
    path = folder / "records100" / "00000" / "00003_lr.hea"
    path.write_text(path.read_text().replace("12 100 1000", "12 250 1000"), encoding="utf-8")


BROKEN = {
    "truncated": (damage_dat, r"3: .*00003_lr\.dat is truncated"),
    "file gone": (
        damage_header,
        r"3: .*00003_lr\.hea names the signal file '00003_lr\.dat', which",
    ),
    "checksum": (damage_sum, r"3: .*signal '\w+' have the checksum \d+, its header states \d+"),
    "no samples": (damage_length, r"3: .*00003_lr\.(hea|dat)"),
    "rate": (damage_rate, r"3: .*has 250 samples per second; 100 are expected"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_recording_is_named_and_nothing_is_written_unless_it_is_skipped(kind, tmp_path):
    damage, message = BROKEN[kind]
    source = make_source(tmp_path / "raw", count=9)
    damage(source)
    with pytest.raises(DataError, match=message) as caught:
        prepare(source, tmp_path / "out")
    assert "1 of 9 recordings" in str(caught.value)
    assert "--on_invalid=skip" in str(caught.value)
    assert find_prepared(tmp_path / "out", "ptbxl") is None
    builder, report = prepare(source, tmp_path / "out", on_invalid="skip")
    assert len(report.records) == 8
    assert "skipped because" in report.table()
    stored = json.loads((Path(builder.data_dir) / "report.json").read_text())
    assert stored["excluded"][0]["record_id"] == "3"


def test_a_mended_recording_is_taken_up_without_doing_the_others_again(tmp_path):
    source = make_source(tmp_path / "raw", count=16)
    path = source / "records100" / "00000" / "00003_lr.dat"
    whole = path.read_bytes()
    damage_dat(source)
    with pytest.raises(DataError):
        prepare(source, tmp_path / "out")
    path.write_bytes(whole)
    staging = tmp_path / "out" / "ptbxl" / "100hz" / ".preparing-1.0.0"
    before = {p.name: p.stat().st_mtime_ns for p in staging.glob("*.json")}
    written = []
    builder = make_builder(PtbXl())(
        source=source,
        data_dir=tmp_path / "out",
        executor=lambda tasks: (
            written.extend(task.path.name for task in tasks) or process_executor(1)(tasks)
        ),
    )
    assert len(builder.prepare().records) == 16
    # Shards are divided by the bytes of their files, so a neighbor may change hands.
    assert 1 <= len(written) <= 2
    assert len(before) == 7


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


def test_a_full_disk_is_told_and_the_run_goes_on_once_there_is_room(source, tmp_path, monkeypatch):
    replace, calls = os.replace, []

    def full(old, new):
        calls.append(new)
        if len(calls) > 6:
            raise OSError(28, "No space left on device")
        replace(old, new)

    monkeypatch.setattr(atomic_files.os, "replace", full)
    with pytest.raises(UserError, match=r"No space left on device.*resumes where it stopped"):
        prepare(source, tmp_path)
    monkeypatch.undo()
    assert find_prepared(tmp_path, "ptbxl") is None
    assert not [name for name in files(tmp_path) if ".partial" in name]
    assert len(prepare(source, tmp_path)[1].records) == 24


def test_overwriting_keeps_the_old_set_until_the_new_one_is_whole(tmp_path):
    source = make_source(tmp_path / "raw", count=5)
    builder, _ = prepare(source, tmp_path / "out")
    before = files(Path(builder.data_dir))
    damage_dat(source)
    with pytest.raises(DataError):
        make_builder(PtbXl())(source=source, data_dir=tmp_path / "out").prepare(overwrite=True)
    assert files(Path(builder.data_dir)) == before
    PreparedSource(Path(builder.data_dir)).read(2, 0, 1000)


DAMAGE = {
    "index": (
        lambda f: (f / "recordings.jsonl").write_text("{"),
        r"recordings\.jsonl, line 1 cannot be read",
    ),
    "model_spec": (
        lambda f: (f / "dataset.json").write_text("{}"),
        r"dataset\.json states no 'format_version'",
    ),
    "shard": (
        lambda f: next(f.glob("*array_record*")).write_bytes(b"not a record file"),
        r"has 17 bytes, but [\d,]+ were written",
    ),
    "shard gone": (
        lambda f: next(f.glob("*array_record*")).unlink(),
        r"array_record-\d+-of-\d+ cannot be read \(No such file",
    ),
    "rows": (
        lambda f: (f / "recordings.jsonl").write_text(
            "".join((f / "recordings.jsonl").read_text().splitlines(True)[:-1])
        ),
        r"recordings\.jsonl was changed after it was written",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_data_set_is_rejected_with_a_fix(kind, source, tmp_path):
    builder, _ = prepare(source, tmp_path)
    damage, message = DAMAGE[kind]
    damage(Path(builder.data_dir))
    with pytest.raises(DataError, match=message) as caught:
        read_all(Path(builder.data_dir))
    assert "--overwrite" in str(caught.value)


def read_all(folder):
    prepared = PreparedSource(folder)
    for index in range(len(prepared.recordings)):
        prepared.read(index, 0, 10)


def test_unknown_names_suggest_similar_ones():
    with pytest.raises(ConfigError, match=r"Did you mean 'ptbxl'\?"):
        get_layout("ptbx")
    with pytest.raises(ConfigError, match=r"available: ptbxl/100hz, ptbxl/500hz"):
        get_layout("ptbxl/250hz")
    with pytest.raises(ConfigError, match="--workers must be from 1 to"):
        process_executor(0)
    assert {"ptbxl", "mitbih"} <= set(LAYOUTS)


def test_a_source_without_recordings_is_reported(tmp_path):
    with pytest.raises(DataError, match=r"ptbxl_database\.csv is missing"):
        prepare(tmp_path / "nowhere", tmp_path / "out")


def test_beam_writes_what_processes_do(source, tmp_path):
    pytest.importorskip("apache_beam", reason="needs Apache Beam: pip install apache-beam")
    from physio_mae_jax.preparation.executors import beam_executor

    prepare(source, tmp_path / "one")
    prepare(source, tmp_path / "two", executor=beam_executor("DirectRunner", []))
    ours, theirs = (find_prepared(tmp_path / name, "ptbxl") for name in ("one", "two"))
    assert (ours / "recordings.jsonl").read_text() == (theirs / "recordings.jsonl").read_text()


def test_a_missing_beam_is_reported(monkeypatch):
    from physio_mae_jax.preparation.executors import beam_executor

    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ConfigError, match="pip install apache-beam"):
        beam_executor("FlinkRunner", [])


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


def test_mitbih_as_it_is_shipped(shared, tmp_path):
    raw = tmp_path / "mitbih"
    raw.mkdir()
    for name in ("101", "114", "201"):
        for path in (shared / "data" / "mitbih_ds1").glob(f"{name}.*"):
            shutil.copy(path, raw)
    builder = make_builder(get_layout("mitbih"))(source=raw, data_dir=tmp_path / "out")
    builder.prepare()
    prepared = PreparedSource(Path(builder.data_dir))
    classes = prepared.metadata.task("beat")["classes"]
    for index, record in enumerate(prepared.records):
        reference = wfdb.rdrecord(str(raw / record.record_id))
        ours = prepared.read(index, 0, record.num_samples)
        assert np.abs(ours.T - reference.p_signal).max() <= 0.5 / min(reference.adc_gain)
        beats = wfdb.rdann(str(raw / record.record_id), "atr")
        normal = [int(s) for s, c in zip(beats.sample, beats.symbol, strict=True) if c in "NLRej"]
        assert [m[0] for m in record.annotations["beat"] if classes[m[2]] == "N"] == normal
        assert record.attributes["set"] == "DS1"
    assert prepared.recordings[1].channel_names == ("V5", "II")


def test_a_layout_is_a_value():
    """Two equal ones make the same data set, also in another process."""
    assert dataclasses.asdict(PtbXl()) == {"sampling_rate_hz": 100}
    assert PtbXl() == PtbXl(100) != PtbXl(500)

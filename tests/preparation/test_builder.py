"""Preparing: nothing half-written, nothing lost, the same samples and labels as in the source."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax import atomic_files
from physio_mae_jax.data.labels import recording_labels
from physio_mae_jax.data.prepared import PreparedSource, find_prepared
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.errors import DataError, UserError
from physio_mae_jax.signals.channels import TWELVE_LEADS
from tests.paths import REPOSITORY
from tests.preparation.ptbxl_source import damage_dat, files, make_source, prepare


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


HELD = """
import signal, sys
from pathlib import Path
from physio_mae_jax.preparation.builder import make_builder
from physio_mae_jax.preparation.layouts.ptbxl import PtbXl

class Held(PtbXl):
    reads = 0

    def read(self, source, ref):
        if Held.reads == int(sys.argv[3]):
            print("held", flush=True)
            signal.pause()
        Held.reads += 1
        return super().read(source, ref)

# The real layout is fingerprinted, so that the next run takes the shards over.
class HeldBuilder(make_builder(PtbXl()), skip_registration=True):
    name = "ptbxl"
    layout = Held()

HeldBuilder(source=Path(sys.argv[1]), data_dir=sys.argv[2]).prepare()
"""


@contextlib.contextmanager
def held_after(num_reads, source, out):
    """Prepare in another process, which stops after some recordings and is killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", HELD, str(source), str(out), str(num_reads)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout.readline() == "held\n", "the process ended too early"
            yield
        finally:
            process.kill()


def test_killed_preparation_leaves_no_data_set_and_resumes(source, tmp_path):
    """SIGKILL at several moments; the result is that of an undisturbed run."""
    prepare(source, tmp_path / "whole")
    out = tmp_path / "killed"
    staging = out / "ptbxl" / "100hz" / ".preparing-1.0.0"
    for num_reads in (0, 1, 12):
        with held_after(num_reads, source, out):
            assert staging.is_dir()
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


def test_concurrent_preparations_are_rejected(source, tmp_path):
    rejected = pytest.raises(UserError, match="another process is preparing")
    with held_after(0, source, tmp_path), rejected:
        prepare(source, tmp_path)


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


def test_a_source_without_recordings_is_reported(tmp_path):
    with pytest.raises(DataError, match=r"ptbxl_database\.csv is missing"):
        prepare(tmp_path / "nowhere", tmp_path / "out")

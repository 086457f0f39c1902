"""A preparation that is ended at any moment is finished by the same command."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from physio_mae_jax import prepare
from physio_mae_jax.preparation import builder as module
from tests.paths import REPOSITORY


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Three recordings with a heart beat, and one that never changes."""
    folder = tmp_path_factory.mktemp("source")
    rng = np.random.default_rng(0)
    for number in range(4):
        signal = rng.normal(size=(1, 800)).cumsum(axis=1) if number else np.zeros((1, 800))
        np.savez(folder / f"r{number}.npz", X=signal, channels=["II"], fs=100.0, subject=[number])
    return folder


def command(source, out, *more):
    return ["folder", "--name=own", f"--source={source}", f"--out={out}", *more]


def leftovers(out):
    return [path.name for path in (out / "own").iterdir() if path.name != "1.0.0"]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_advice_that_is_printed_works(source, tmp_path, workers, capsys):
    flags = command(source, tmp_path, f"--workers={workers}")
    assert prepare.main(flags) == 2
    assert "1 of 4 recordings" in (said := capsys.readouterr().err)
    assert "skip them with --on_invalid=skip" in said
    assert prepare.main(flags) == 2  # and again
    assert prepare.main([*flags, "--on_invalid=skip"]) == 0
    assert "all shards were already prepared" in capsys.readouterr().out
    assert leftovers(tmp_path) == []
    assert prepare.main([*flags, "--on_invalid=skip"]) == 2
    assert "exists already" in capsys.readouterr().err


# Ends the process, as SIGKILL does, before the n-th thing that it does to the output folder, for
# n = 0, 3, 6, … until it comes to its end; each time the same command then finishes the work.
KILLED = """
import json, os, shutil, sys
from pathlib import Path
source, folder, overwrite = Path(sys.argv[1]), Path(sys.argv[2]), "overwrite" in sys.argv
from physio_mae_jax import prepare
EVENTS = {"open", "os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}

def run(out, kill_at=None):
    flags = ["folder", "--name=own", f"--source={source}", f"--out={out}", "--on_invalid=skip",
             "--workers=1", *["--overwrite"] * overwrite]
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    seen = 0
    def watch(event, arguments):
        nonlocal seen
        if event in EVENTS and str(arguments[0]).startswith(str(out)):
            if seen == kill_at:
                os._exit(9)
            seen += 1
    sys.addaudithook(watch)
    sys.stdout = sys.stderr = open(os.devnull, "w")
    os._exit(prepare.main(flags))

assert run(folder / "whole") == 0
def held(out):
    folder = out / "own/1.0.0"
    return (folder / "recordings.jsonl").read_bytes() if folder.exists() else b""
whole, kill_at, reported = held(folder / "whole"), 0, []
while True:
    out = folder / str(kill_at)
    if overwrite:
        shutil.copytree(folder / "whole", out)
    status = run(out, kill_at)
    visible = held(out)
    again = run(out)
    assert held(out) == whole, (kill_at, status, again)
    left = sorted(path.name for path in (out / "own").iterdir())
    assert left == ["1.0.0"], (kill_at, left)
    assert again == 0 or (visible == whole and again == 2), (kill_at, again)
    reported.append(status)
    shutil.rmtree(out)
    if status != 9:
        break
    kill_at += 3
print(json.dumps(reported))
"""


@pytest.mark.parametrize("overwrite", ["", "overwrite"])
def test_killed_before_anything_that_it_does(source, tmp_path, overwrite):
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(source), str(tmp_path), overwrite],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    statuses = json.loads(ended.stdout)
    assert len(statuses) > 10
    assert set(statuses[:-1]) == {9}
    assert statuses[-1] == 0


def test_a_source_that_vanishes_is_reported(source, tmp_path, monkeypatch, capsys):
    def gone(*args):
        raise OSError(5, "Input/output error", str(source))

    monkeypatch.setattr(module, "plan_shards", gone)
    assert prepare.main(command(source, tmp_path, "--workers=1")) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: cannot prepare ")
    assert "Input/output error" in said


def test_too_little_memory_is_reported(source, tmp_path, monkeypatch, capsys):
    def run_out(*args):
        raise MemoryError

    monkeypatch.setattr(module, "plan_shards", run_out)
    assert prepare.main(command(source, tmp_path, "--workers=1")) == 2
    assert "not enough memory. Use fewer --workers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--source", "gs://bucket/raw"), ("--out", "s3://b/x"), ("--out", ""), ("--out", "~no_one/x"),
     ("--source", "hdfs:/x"), ("--manifest", "https://host/m.json"), ("--out", "/dev/null")],
)  # fmt: skip
def test_places_that_are_not_of_this_machine(source, tmp_path, flag, value, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert prepare.main([*command(source, tmp_path / "out"), f"{flag}={value}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {flag}")
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_names_of_files_that_are_no_text_are_reported(source, tmp_path, capsys):
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / os.fsdecode(b"r\xff.npz")).write_bytes((source / "r1.npz").read_bytes())
    for skipping in ("error", "skip"):
        flags = command(folder, tmp_path / "out", "--workers=1", f"--on_invalid={skipping}")
        assert prepare.main(flags) == 2
        said = capsys.readouterr().err
        assert r"names that are not UTF-8, such as r\udcff; rename" in said
        said.encode()

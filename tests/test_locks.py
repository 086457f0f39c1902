"""Locks of folders, which end with their process."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from physio_mae_jax import locks
from physio_mae_jax.errors import ConfigError, UserError
from physio_mae_jax.locks import LockedError, locked
from physio_mae_jax.training.work_folder import claim, lock_workdir
from tests.paths import REPOSITORY

HOLDER = """
import sys, time
from pathlib import Path
from physio_mae_jax.training.work_folder import lock_workdir
with lock_workdir(Path(sys.argv[1]), shared="shared" in sys.argv, partition="".join(sys.argv[3:])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def start():
    """Return what starts a process that holds a folder until the test ends."""
    started = []

    def begin(folder: Path, *arguments: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(folder), *arguments],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


class TestTheLock:
    def test_second_run_is_rejected_and_lock_of_killed_run_is_ignored(self, start, tmp_path):
        folder = tmp_path / "run"
        process = start(folder)
        (folder / "metrics.jsonl").write_text('{"step": 1}\n')
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        message = rf"in use by another run \(process {process.pid} on .* since 20\d\d-.*\)\. Wait"
        with pytest.raises(UserError, match=message), lock_workdir(folder):
            pass
        with pytest.raises(LockedError), lock_workdir(folder, shared=True):
            pass
        with claim(folder) as is_locked:
            assert not is_locked
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
        process.send_signal(signal.SIGKILL)
        process.wait()
        with lock_workdir(folder):  # the lock file is there still, and means nothing
            assert json.loads((folder / ".lock").read_text())["pid"] == os.getpid()

    def test_shared_locks(self, start, tmp_path):
        start(tmp_path, "shared")
        start(tmp_path, "shared", "process_0_of_2")
        with (
            lock_workdir(tmp_path, shared=True),
            lock_workdir(tmp_path, partition="process_1_of_2"),
        ):
            pass
        with pytest.raises(LockedError), lock_workdir(tmp_path):
            pass
        with pytest.raises(LockedError), lock_workdir(tmp_path, partition="process_0_of_2"):
            pass

    def test_lock_is_reentrant_but_entries_are_claimed_once(self, tmp_path):
        with lock_workdir(tmp_path), lock_workdir(tmp_path):
            pass
        with claim(tmp_path / "entry") as mine, claim(tmp_path / "entry") as again:
            assert (mine, again) == (True, False)
            with lock_workdir(tmp_path / "entry"):  # as the training of the entry does
                pass

    def test_forked_child_does_not_inherit_the_lock(self, tmp_path):
        with lock_workdir(tmp_path):
            context = multiprocessing.get_context("spawn")
            child = context.Process(target=_must_not_hold, args=(tmp_path,))
            child.start()
            child.join(60)
            assert child.exitcode == 0
        locks._held[(tmp_path / ".lock").resolve()] = (os.getpid() + 1, False)  # of a parent
        try:
            with lock_workdir(tmp_path):
                assert locks._held[(tmp_path / ".lock").resolve()] == (os.getpid(), False)
        finally:
            locks._held.clear()

    def test_a_file_system_without_locks_is_reported(self, tmp_path, monkeypatch, caplog):
        def reject(file, how):
            raise OSError(locks.errno.ENOLCK, "No locks available")

        monkeypatch.setattr(locks.fcntl, "flock", reject)
        with lock_workdir(tmp_path):
            pass
        assert "has no locks (No locks available)" in caplog.text

    def test_deleted_lock_file_is_not_locked(self, tmp_path):
        path = tmp_path / "lock"
        with locked(path, "taken", "", remove=True):
            stale = path.open("a+")
        assert not path.exists()
        with stale:
            assert locks.try_lock(stale, path)
            with locked(path, "taken", ""):  # another file by the same name
                pass

    @pytest.mark.parametrize("note", ["", "{", "[]", '{"pid": 1}', "[" * 100_000, "\x1b[31m"])
    def test_lock_file_with_any_content(self, note, tmp_path):
        path = tmp_path / ".lock"
        with locked(path, "it is taken", "Wait."):
            path.write_text(note)
            reported = pytest.raises(
                LockedError, match=r"^it is taken \(its lock file does not name"
            )
            with reported, locked(path, "it is taken", "Wait.", reentrant=False):
                pass

    def test_unused_new_folders_are_removed(self, tmp_path):
        with pytest.raises(ConfigError), lock_workdir(tmp_path / "a" / "b"):
            raise ConfigError("no such data set")
        assert not list(tmp_path.iterdir())
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "notes.txt").touch()
        with pytest.raises(ConfigError), lock_workdir(tmp_path / "a" / "b"):
            raise ConfigError("later")
        assert [path.name for path in tmp_path.rglob("*")] == ["a", "notes.txt"]


def _must_not_hold(folder: Path) -> None:
    with pytest.raises(LockedError), lock_workdir(folder):
        pass

"""A work folder is held by one run at a time, and nothing of it is lost."""

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from physio_mae_jax import atomic_files, locks
from physio_mae_jax.errors import ConfigError, UserError
from physio_mae_jax.local_paths import local_folder, local_path
from physio_mae_jax.locks import LockedError, locked
from physio_mae_jax.training.metric_writer import MetricWriter
from physio_mae_jax.training.metrics_file import drop_lines_after, open_metrics, read_metrics
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


def metric_writer(workdir: Path, first_step: int) -> MetricWriter:
    return MetricWriter(workdir, first_step=first_step, num_steps=9, batch_size=1, active=True)


class TestMetrics:
    def test_concurrent_metric_writers_lose_no_lines(self, tmp_path):
        with metric_writer(tmp_path, 0) as first:
            first.training(1, {"loss": 1.0}, "")
            with pytest.raises(UserError, match="written by another run"):
                metric_writer(tmp_path, 0)
            first.training(2, {"loss": 1.0}, "")
        with metric_writer(tmp_path, 2) as second:
            second.training(3, {"loss": 1.0}, "")
        assert [record["step"] for record in read_metrics(tmp_path)] == [1, 2, 3]

    def test_open_file_keeps_its_inode(self, tmp_path):
        path = tmp_path / "metrics.jsonl"
        with path.open("a") as held:
            held.write('{"step": 1}\n{"step": 2}\n{"step": 3}\n')
            held.flush()
            assert drop_lines_after(path, 2)
            held.write('{"step": 3}\n')
        assert path.read_text() == '{"step": 1}\n{"step": 2}\n{"step": 3}\n'

    @pytest.mark.parametrize(
        ("content", "kept"),
        [
            (b'{"step": 1}\n{"step": 2', b'{"step": 1}\n'),
            (b'{"step": 1}\n{"step": 2}', b'{"step": 1}\n{"step": 2}\n'),
            (b'{"step": 3}\n{"step": 1}\n', b'{"step": 1}\n'),
            (
                b'{"step": 1}\n\xff\n[]\n{"step": null}\n{"step": 2}\n',
                b'{"step": 1}\n{"step": 2}\n',
            ),
            (b"", b""),
        ],
    )
    def test_complete_lines_up_to_the_step_are_kept(self, content, kept, tmp_path, caplog):
        path = tmp_path / "metrics.jsonl"
        path.write_bytes(content)
        open_metrics(path, 2).close()
        assert path.read_bytes() == kept
        assert ("3 broken lines" in caplog.text) == (b"null" in content)


class TestPaths:
    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("gs://bucket/x", "is an address"),
            ("gs:/bucket/x", "is an address"),
            ("s3://b", "is an address"),
            ("HDFS://h:9000/x", "is an address"),
            ("file:///tmp/x", "is an address"),
            ("me@host:/x", "is an address"),
            ("abfss://c@a.dfs.core.windows.net/x", "is an address"),
            ("", "must be a path such as runs/first; got ''"),
            ("  ", "must be a path"),
            (None, "must be a path such as runs/first; got None"),
            (3, "must be a path such as runs/first; got 3"),
            ("~nouser_of_this_name/x", "there is no such user"),
            ("a\0b", r"a\\x00b is no path: it holds a NUL"),
            ("a\ud800", r"a\\ud800 is no path"),
            ("x" * 300, "longer than 255 bytes"),
            ("x/" * 2500, "longer than 3,800 bytes"),
        ],
    )
    def test_remote_paths_are_rejected(self, value, message):
        with pytest.raises(ConfigError, match=rf"--workdir.*{message}") as caught:
            local_folder(value, "--workdir")
        assert len(str(caught.value)) < 400
        assert str(caught.value).isprintable()

    def test_local_paths_are_accepted(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path))
        for value in ("a:b", "runs/x", "~/x", "C:/x", "a b/ü", "./gs:/x", "x\ny", Path("x")):
            assert local_folder(value, "--workdir").is_relative_to(tmp_path)
        assert not list(tmp_path.iterdir())
        assert local_path("/dev/null", "--out") == Path("/dev/null")
        (tmp_path / "file").touch()
        for value in ("file", "file/x/y", "/dev/null"):
            with pytest.raises(ConfigError, match="is a file; give a folder"):
                local_folder(value, "--workdir")

    @pytest.mark.parametrize("value", ["gs://bucket/model", "", "~nouser_of_this_name/x", "a\0b"])
    def test_all_folder_creation_checks_for_local_paths(self, value, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ConfigError, match=r"^folder"):
            atomic_files.prepare_workdir(value, "folder")
        assert not list(tmp_path.iterdir())


COMMAND = (sys.executable, "-m", "physio_mae_jax.main")


@pytest.mark.parametrize("config", ["pretrain.py:preset=debug", "loso.py", "retrieval.py"])
def test_command_in_locked_folder_fails(config, tmp_path):
    with lock_workdir(tmp_path):
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        command = [*COMMAND, f"--config=configs/{config}", f"--workdir={tmp_path}"]
        ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert ended.returncode == 2
    reported = (
        f"error: the work folder {tmp_path} is in use by another run (process {os.getpid()} on"
    )
    assert ended.stderr.startswith(reported)
    assert ended.stderr.count("\n") == 1


TOGETHER = """
import sys
from pathlib import Path
from physio_mae_jax import distributed
from physio_mae_jax.distributed import ClusterConfig
from physio_mae_jax.training.work_folder import lock_workdir
process = int(sys.argv[3])
distributed.join(ClusterConfig(coordinator=sys.argv[2], num_processes=2, process_id=process,
                               timeout_seconds=100))
try:
    with lock_workdir(Path(sys.argv[1])), lock_workdir(Path(sys.argv[1])):
        print("held", flush=True)
except Exception as error:
    print(f"{type(error).__name__}: {error}", flush=True)
distributed.leave(0)
"""


def in_two_processes(folder: Path) -> list[str]:
    """Return what two processes of one run say that hold a folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TOGETHER, str(folder), address, str(number)],
            cwd=REPOSITORY,
            env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""},
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    # The last line: gloo says above it who is connected.
    return [process.communicate(timeout=200)[0].splitlines()[-1] for process in processes]


def test_process_0_locks_for_all_processes(tmp_path):
    assert in_two_processes(tmp_path) == ["held"] * 2
    with lock_workdir(tmp_path):
        first, second = in_two_processes(tmp_path)
    assert first.startswith(f"LockedError: the work folder {tmp_path} is in use by another run")
    assert second.startswith("LockedError: process 0 could not lock the work folder")

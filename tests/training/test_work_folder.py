"""A work folder is held by one run at a time."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from physio_mae_jax.training.work_folder import lock_workdir
from tests.paths import REPOSITORY

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

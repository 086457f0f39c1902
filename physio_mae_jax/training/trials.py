"""Many runs in one folder, distributed over independent processes.

Each process claims a run that is neither finished nor claimed. A claim is a lock that the
operating system releases when its process ends, so no cleanup is needed, and the same
command resumes an interrupted run.
"""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from physio_mae_jax.errors import UserError
from physio_mae_jax.training.work_folder import claim

_LOG = logging.getLogger(__name__)
_POLL_SECONDS = 1.0
# Fraction of the GPU memory shared by its workers; the rest is for CUDA.
_GPU_MEMORY_FRACTION = 0.9


class Trial(NamedTuple):
    """One of many runs.

    Attributes:
        name: Name of its folder in the common folder.
        run: Function that performs or resumes the run in the given folder.
    """

    name: str
    run: Callable[[Path], object]


def run_trials(parent: Path, trials: Sequence[Trial], is_done: Callable[[Path], bool]) -> None:
    """Run every trial that is neither done nor claimed by another process.

    Args:
        parent: Folder that contains all of them.
        trials: Trials in the order they are tried.
        is_done: Returns whether the run in a folder is done.
    """
    for trial in trials:
        folder = parent / trial.name
        if is_done(folder):
            continue
        with claim(folder) as is_locked:
            # Checked again: another process may have finished it before the lock was acquired.
            if is_locked and not is_done(folder):
                _LOG.info("%s begins", trial.name)
                trial.run(folder)
                _LOG.info("%s is done", trial.name)


def run_workers(
    parent: Path, num_workers: int, worker_flags: Sequence[str], count: Callable[[], int]
) -> None:
    """Run this command in several processes, and wait for all of them.

    Args:
        parent: Folder of all trials; the output of worker k goes to ``workers/k.log`` in it.
        num_workers: Number of processes. Several GPUs are assigned to them in turn, one each.
        worker_flags: Flags added to the command, so that a worker only runs trials.
        count: Returns the number of trials done, for progress messages.

    Raises:
        UserError: A worker failed; the others finish first.
    """
    logs = [parent / "workers" / f"{k}.log" for k in range(num_workers)]
    logs[0].parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "physio_mae_jax.main", *sys.argv[1:], *worker_flags]
    gpus = _visible_gpus()
    workers = []
    for k, path in enumerate(logs):
        with path.open("w", encoding="utf-8") as log:
            environment = {**os.environ, **_gpu_environment(k, num_workers, gpus)}
            if gpus:
                environment.pop("XLA_PYTHON_CLIENT_MEM_FRACTION", None)  # former name
            process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=environment
            )
            workers.append(process)
    try:
        _wait(workers, count)
    finally:
        for worker in workers:
            worker.terminate()
    failed = [k for k, worker in enumerate(workers) if worker.wait()]
    if failed:
        last = logs[failed[0]].read_text(encoding="utf-8").strip().splitlines()[-1:]
        raise UserError(
            f"{len(failed)} of {num_workers} workers failed; the first one's last line is "
            f"{(last or ['empty'])[0]!r}, see {logs[failed[0]]}. The same command resumes the "
            "remaining trials."
        )


def _wait(workers: Sequence[subprocess.Popen[bytes]], count: Callable[[], int]) -> None:
    """Wait for all; log the number of done trials whenever it changes."""
    reported = -1
    while True:
        running = any(worker.poll() is None for worker in workers)
        if (done := count()) != reported:
            _LOG.info("%d trials are done", done)
            reported = done
        if not running:
            return
        time.sleep(_POLL_SECONDS)


def _gpu_environment(worker: int, num_workers: int, gpus: Sequence[str]) -> Mapping[str, str]:
    """Return the environment that assigns a worker one GPU and a fraction of its memory."""
    if not gpus:
        return {}
    workers_per_gpu = -(-num_workers // len(gpus))
    return {
        "CUDA_VISIBLE_DEVICES": gpus[worker % len(gpus)],
        "XLA_CLIENT_MEM_FRACTION": f"{_GPU_MEMORY_FRACTION / workers_per_gpu:.3f}",
    }


def _visible_gpus() -> list[str]:
    """List the NVIDIA GPUs of this machine without allocating memory on them."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [name for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name]
    query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return []
    return found.stdout.split()

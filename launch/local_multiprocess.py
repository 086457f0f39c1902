"""Start several processes of one run on this machine, and restart them when interrupted.

    .venv/bin/python launch/local_multiprocess.py --processes=2 -- \
        --config=configs/pretrain.py:preset=debug --workdir=runs/two

Arguments after ``--`` go to ``physio_mae_jax.main``. On a machine with GPUs each process gets its
share of them in order; on a CPU, ``--cpu_devices`` virtual ones. SIGTERM and Ctrl-C are passed on:
the processes agree on a step, save it and end, and so does this program, with status 75. A run that
ends by itself with status 75, or whose process is killed, is restarted, ``--restarts`` times.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

INTERRUPTED = 75  # of physio_mae_jax.errors.Interrupted
_REPOSITORY = Path(__file__).resolve().parent.parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until the run is finished, fails or is stopped; return the exit status."""
    options = _parse(arguments)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    for attempt in range(options.restarts + 1):
        status = _run_once(options, stopping)
        if status not in (INTERRUPTED, *_KILLED) or stopping.is_set():
            return status
        left = options.restarts - attempt
        print(f"launcher: ended with status {status}; restarts left: {left}", file=sys.stderr)
    return status


# Exit status of a process ended by a signal, as in a shell.
_KILLED = range(129, 129 + 64)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--processes", type=int, required=True)
    parser.add_argument("--cpu_devices", type=int, default=1, help="per process, without GPUs")
    parser.add_argument("--gpus_per_process", type=int, default=0)
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("--grace", type=float, default=30, help="seconds, after a failure")
    parser.add_argument("flags", nargs="+", help="-- and the flags of physio_mae_jax.main")
    options = parser.parse_args(arguments)
    if options.processes < 1 or options.cpu_devices < 1:
        parser.error("--processes and --cpu_devices must be at least 1")
    return options


def _run_once(options: argparse.Namespace, stopping: threading.Event) -> int:
    """Start all processes and wait for them; return the status of the one that failed first."""
    coordinator = f"127.0.0.1:{_free_port()}"
    processes = [_start(options, coordinator, number) for number in range(options.processes)]
    echoes = [threading.Thread(target=_echo, args=item) for item in enumerate(processes)]
    for echo in echoes:
        echo.start()
    first_failure = 0
    deadline = float("inf")
    told = False
    while any(process.poll() is None for process in processes):
        if stopping.is_set() and not told:
            told = True
            for process in processes:
                process.terminate()
        failed = [p.returncode for p in processes if p.poll() not in (None, 0)]
        if failed and not first_failure:
            first_failure = _as_shell(failed[0])
            deadline = time.monotonic() + options.grace
        if time.monotonic() > deadline:
            for process in processes:
                process.kill()
        time.sleep(0.05)
    for echo in echoes:
        echo.join()
    statuses = [_as_shell(process.returncode) for process in processes]
    return first_failure or next(filter(None, statuses), 0)


def _start(options: argparse.Namespace, coordinator: str, number: int) -> subprocess.Popen[str]:
    environment = dict(os.environ)
    environment.setdefault("JAX_NUM_CPU_DEVICES", str(options.cpu_devices))
    environment["PYTHONUNBUFFERED"] = "1"
    if options.gpus_per_process:
        first = number * options.gpus_per_process
        mine = range(first, first + options.gpus_per_process)
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, mine))
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "physio_mae_jax.main", *options.flags),
            f"--coordinator={coordinator}",
            f"--num_processes={options.processes}",
            f"--process_id={number}",
        ],
        cwd=_REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Ctrl-C reaches this program only, which forwards it once.
        start_new_session=True,
    )


def _echo(number: int, process: subprocess.Popen[str]) -> None:
    """Print the output of a process, prefixed with its number."""
    assert process.stdout is not None
    for line in process.stdout:
        print(f"[{number}] {line}", end="", file=sys.stderr, flush=True)


def _as_shell(status: int) -> int:
    """Return 128 + n for a process that signal n ended."""
    return 128 - status if status < 0 else status


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())

"""Kill a small run of two processes at random moments, and compare its end with an undisturbed one.

    .venv/bin/python -m tests.soak --kills=25 --folder=/tmp/soak

``launch/local_multiprocess.py`` starts the run again each time. A process or both are killed
(SIGKILL), or one is asked to stop (SIGTERM): while starting, between steps, or during a save, of
which one is under way most of the time. At the end, parameters, moments, losses and the order of
the data must be the same, bit for bit. Linux only: it looks for processes in /proc.
"""

import argparse
import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from tests.paths import REPOSITORY

# A model that compiles in seconds, and saves so often that most kills meet a save.
SMALL_RUN = (
    "--config=configs/pretrain.py:preset=debug",
    "--config.model.waveform_branch=False",
    "--config.model.channel_attention=False",
    "--config.model.channel_smoothing=False",
    "--config.model.wavelet.difference_planes=False",
    "--config.model.wavelet.num_scales=16",
    "--config.objective.plane_weights=(1.0,)",
    "--config.objective.waveform_weight=0.0",
    "--config.window_seconds=3",
    "--config.batch_size=4",
    "--config.data.channels=II,PPG",
    "--config.data.cohort.num_subjects=6",
    "--config.data.cohort.seconds=20",
    "--config.data.max_validation_windows=2",
    "--config.loop.checkpoint_every_steps=7",
    "--config.loop.max_to_keep=1000",
)
STEPS_A_KILL = 40
_WAYS = ("kill one", "kill one", "kill both", "stop one")


@dataclasses.dataclass
class Report:
    """What was done to a run, and what it came to.

    Attributes:
        ways: how often processes were killed or stopped in which way.
        during_save: kills that met a save under way.
        starts: of the two processes, the first included.
        status: of the launcher.
        differences: names of arrays, and of lines of metrics and data order, that differ.
    """

    ways: Counter[str] = dataclasses.field(default_factory=Counter)
    during_save: int = 0
    starts: int = 0
    status: int = -1
    differences: list[str] = dataclasses.field(default_factory=list)


def start(
    workdir: Path, flags: Sequence[str], restarts: int = 0, processes: int = 2, cpu_devices: int = 1
) -> subprocess.Popen[bytes]:
    """Start a run of several processes; what it prints goes to a file beside ``workdir``."""
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        # Compiling takes most of the time of a small run.
        "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false",
        "JAX_COMPILATION_CACHE_DIR": os.environ.get(
            "JAX_COMPILATION_CACHE_DIR", str(workdir.parent / "cache")
        ),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_NUM_CPU_DEVICES": str(cpu_devices),
    }
    workdir.parent.mkdir(parents=True, exist_ok=True)
    with log_of(workdir).open("ab") as log:
        return subprocess.Popen(
            [
                *(sys.executable, "launch/local_multiprocess.py", f"--processes={processes}"),
                *(f"--restarts={restarts}", "--grace=10", "--"),
                *SMALL_RUN,
                *flags,
                f"--workdir={workdir}",
            ],
            cwd=REPOSITORY,
            env=environment,
            stdout=log,
            stderr=log,
        )


def log_of(workdir: Path) -> Path:
    """Return where ``start`` puts what a run prints."""
    return workdir.with_suffix(".log")


def workers(launcher: int) -> list[int]:
    """Return the ids of the processes of a run, that of process 0 first."""
    listed = Path(f"/proc/{launcher}/task/{launcher}/children").read_text(encoding="utf-8")
    return [int(word) for word in listed.split()]


def soak(folder: Path, kills: int, seed: int = 0) -> Report:
    """Run once undisturbed and once with ``kills`` kills, and compare."""
    steps = STEPS_A_KILL * kills
    flags = [f"--config.loop.{name}={steps}" for name in ("num_steps", "evaluate_every_steps")]
    calm, interrupted = folder / "calm", folder / "interrupted"
    status = start(calm, flags).wait()
    if status:
        raise RuntimeError(f"the undisturbed run ended with {status}; see {log_of(calm)}")
    launcher = start(interrupted, flags, restarts=kills + 5)
    report = Report()
    try:
        _disturb(launcher, interrupted, kills, random.Random(seed), report)
        report.status = launcher.wait(timeout=600)
    finally:
        launcher.terminate()
    report.starts = log_of(interrupted).read_text(encoding="utf-8").count("process 0 of 2")
    report.differences = differences(calm, interrupted)
    return report


def _disturb(
    launcher: subprocess.Popen[bytes],
    workdir: Path,
    kills: int,
    chance: random.Random,
    report: Report,
) -> None:
    metrics = workdir / "metrics.jsonl"
    met: set[int] = set()
    while sum(report.ways.values()) < kills and launcher.poll() is None:
        alive = workers(launcher.pid)
        if len(alive) < 2 or met & set(alive):
            time.sleep(0.05)
            continue
        began = time.time()
        if chance.random() < 0.2:
            time.sleep(chance.uniform(0, 8))
        else:
            while launcher.poll() is None and not _trained_since(metrics, began):
                time.sleep(0.05)
            time.sleep(chance.uniform(0, 1.5))
        way = chance.choice(_WAYS)
        saving = any((workdir / "checkpoints").glob("*.orbax-checkpoint-tmp*"))
        hit = alive if way == "kill both" else [chance.choice(alive)]
        if _signal(hit, signal.SIGTERM if way == "stop one" else signal.SIGKILL):
            report.ways[way] += 1
            report.during_save += saving
        met |= set(alive)


def _trained_since(metrics: Path, moment: float) -> bool:
    """Say whether a step was reported; the file itself is also written at the start of a run."""
    if not metrics.exists():
        return False
    whole = metrics.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
    return bool(whole) and json.loads(whole[-1])["time"] > moment


def _signal(processes: Sequence[int], number: signal.Signals) -> bool:
    """Send a signal; say whether all were still there."""
    try:
        for process in processes:
            os.kill(process, number)
    except ProcessLookupError:
        return False
    return True


def differences(first: Path, second: Path) -> list[str]:
    """Name what differs between the last checkpoints, the losses and the data of two runs."""
    ours, theirs = final_arrays(first), final_arrays(second)
    found = [name for name in ours if not np.array_equal(ours[name], theirs.get(name))]
    found += [f"only in one: {name}" for name in ours.keys() ^ theirs.keys()]
    for name in ("metrics.jsonl", "hosts.jsonl"):
        lines = zip(_lines(first / name), _lines(second / name), strict=False)
        found += [f"{name} of step {a['step']}" for a, b in lines if a != b]
        if len(_lines(first / name)) != len(_lines(second / name)):
            found.append(f"number of lines of {name}")
    return found


def final_arrays(workdir: Path) -> dict[str, np.ndarray]:
    """Read every array of the newest checkpoint, whatever devices it was saved from."""
    folder = workdir / "checkpoints"
    step = max(int(path.name) for path in folder.iterdir() if path.name.isdigit())
    with ocp.PyTreeCheckpointer() as reader:
        path = folder / str(step) / "state"
        shapes = reader.metadata(path).item_metadata
        arguments = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), shapes.tree)
        state = reader.restore(path, args=ocp.args.PyTreeRestore(restore_args=arguments))
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(position): np.asarray(leaf) for position, leaf in leaves}


def _lines(path: Path) -> list[dict[str, Any]]:
    """Read what a run wrote of each step, without what depends on the clock or the machine."""
    kept = ("step", "phase", "loss", "gradient_norm", "waveform/model", "data_order")
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [{name: r[name] for name in kept if name in r} for r in records]


def main() -> int:
    """Soak as the flags say; print the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    report = soak(options.folder.absolute(), options.kills, options.seed)
    print(
        f"kills {sum(report.ways.values())} ({dict(report.ways)}), {report.during_save} of them "
        f"during a save; starts {report.starts}; status {report.status}; differences "
        f"{len(report.differences)} {report.differences[:5]}"
    )
    return 1 if report.differences or report.status else 0


if __name__ == "__main__":
    sys.exit(main())

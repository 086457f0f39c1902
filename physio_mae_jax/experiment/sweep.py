"""Many runs in one folder, each with an evaluation report: settings, workers, completeness."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import jax

from physio_mae_jax import atomic_files
from physio_mae_jax.data.sealed_json import add_seal, read_sealed
from physio_mae_jax.errors import ConfigError, UserError
from physio_mae_jax.evaluation.report import has_report
from physio_mae_jax.experiment.config_diff import find_differences, format_names
from physio_mae_jax.experiment.typed_config import ExperimentConfig
from physio_mae_jax.setting_ranges import check_settings
from physio_mae_jax.training.trials import Trial, run_trials, run_workers
from physio_mae_jax.types import JsonObject

_WORKER_FLAGS = ("--config.num_workers=1", "--config.worker=True")


class SweepConfig(Protocol):
    """Settings of a command of many runs."""

    @property
    def worker(self) -> bool:
        """Whether this process runs trials only, and writes no report."""
        ...


def sweep_lock_arguments(config: SweepConfig) -> JsonObject:
    """Return how a process shares the folder of a sweep: trials are locked one by one."""
    return {"shared": True, "partition": "" if config.worker else "report"}


def check_workers(num_workers: int) -> None:
    """Raise on an invalid number of workers, or in a cluster, whose processes would repeat work.

    Raises:
        ConfigError: The number of workers is invalid, or the process is part of a cluster.
    """
    check_settings({"num_workers": num_workers})
    if jax.distributed.is_initialized():
        raise ConfigError(
            "many small runs need no jax.distributed cluster: start each process on its own, with "
            "--config.worker=True and the same --workdir on a file system that all see."
        )


# Paths in the checkout that a run was started from; it may be resumed from another.
_MANIFESTS = "data.raw_manifests."


def record_settings(config: ExperimentConfig, workdir: Path, may_differ: Sequence[str]) -> None:
    """Write the settings into the folder of many runs; raise if they differ on resume.

    Args:
        config: All settings.
        workdir: Folder of the runs.
        may_differ: Sections and settings that do not affect finished runs.

    Raises:
        ConfigError: The folder was started with other settings.
    """
    path = workdir / "settings.json"
    all_settings = json.loads(json.dumps(config.settings))
    now = {name: value for name, value in all_settings.items() if name not in may_differ}
    hint = "move it to use the new settings, or choose another --workdir."
    before = read_sealed(path, hint) if os.path.lexists(path) else {}
    common = [name for name in now if name in before]
    if common:
        found = [name for key in common for name in find_differences(before[key], now[key], key)]
        changed = [name for name in found if not name.startswith(_MANIFESTS)]
        if changed:
            raise ConfigError(
                f"{workdir} was started with different values of {format_names(changed)} ({path}); "
                "the runs would not be comparable. Restore them, or choose another --workdir."
            )
    atomic_files.write_json(path, add_seal(before | now))


def run_pending(
    workdir: Path, list_trials: Callable[[], Sequence[Trial]], num_workers: int
) -> None:
    """Run trials that have no report yet, here or, several at a time, in separate processes.

    With workers, trials are not listed in this process: that could acquire the devices that the
    workers need.
    """
    if num_workers == 1:
        run_trials(workdir, list_trials(), has_report)
        return
    run_workers(
        workdir,
        num_workers,
        _WORKER_FLAGS,
        lambda: sum(has_report(path.parent) for path in workdir.rglob("calibration.json")),
    )


def check_complete(workdir: Path, names: Sequence[str]) -> None:
    """Raise a UserError if a trial is still running in another process."""
    missing = [name for name in names if not has_report(workdir / name)]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(names)} trials are not done yet, such as {missing[0]}: "
            "another process is running them. Run the same command again when it has finished."
        )

"""Shared checks of configs with many runs in one folder."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import jax
from ml_collections import ConfigDict

from physio_mae_jax.data.sealed_json import read_sealed, sealed
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment.config_diff import differing, some
from physio_mae_jax.setting_ranges import check_settings
from physio_mae_jax.training import atomic_files


def check_workers(num_workers: int) -> None:
    """Raise on an invalid number of workers, and in a cluster, whose processes would repeat work.

    Raises:
        ConfigError: The number of workers is invalid, or the process is part of a cluster.
    """
    check_settings({"num_workers": num_workers})
    if jax.distributed.is_initialized():
        raise ConfigError(
            "many small runs need no jax.distributed cluster: start each process on its own, with "
            "--config.worker=True and the same --workdir on a file system that all see."
        )


def record_settings(config: ConfigDict, workdir: Path, may_differ: Sequence[str]) -> None:
    """Write the settings into the folder of many runs; raise where they differ on resume.

    Args:
        config: All settings.
        workdir: Folder of the runs.
        may_differ: Sections and settings that do not affect finished runs.

    Raises:
        ConfigError: The folder was started with other settings.
    """
    path = workdir / "settings.json"
    every = json.loads(config.to_json_best_effort())
    now = {name: value for name, value in every.items() if name not in may_differ}
    hint = "move it away to use the settings given, or choose another --workdir."
    before = read_sealed(path, hint) if os.path.lexists(path) else {}
    common = [name for name in now if name in before]
    if common:
        changed = [name for key in common for name in differing(before[key], now[key], key)]
        if changed:
            raise ConfigError(
                f"{workdir} was started with other settings of {some(changed)} ({path}); the "
                "runs would not be comparable. Restore those, or choose another --workdir."
            )
    atomic_files.write_json(path, sealed(before | now))

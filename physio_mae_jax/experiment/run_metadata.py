"""The machine that a run is for, and config.json, by which it is gone on with."""

import json
import logging
import platform
import shlex
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from physio_mae_jax import __version__
from physio_mae_jax.data.sealed_json import read_sealed, sealed
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.experiment.config_diff import differing, some, value_of
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.signals.vocabulary import NUM_FIRST_NAMES, VOCABULARY
from physio_mae_jax.training import atomic_files
from physio_mae_jax.training.checkpoint import refuse_other_contract, saved_contract

_LOG = logging.getLogger(__name__)
# Settings that a run keeps: by these examples and their order are drawn.
_SAMPLING_KEYS = ("seed", "label_fraction", "data.sets", "balanced_sampling")
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain")


def count_devices(wanted: int) -> int:
    """Return how many devices a run uses, of all its processes; 0 wanted means all there are.

    Raises:
        ConfigError: there are fewer, or some processes would be left without any.
    """
    if wanted > jax.device_count():
        raise ConfigError(
            f"num_devices={wanted}, but this machine offers {jax.device_count()}; lower it or set "
            "0 for all."
        )
    if wanted and jax.process_count() > 1 and wanted != jax.device_count():
        raise ConfigError(
            f"num_devices={wanted}, but the {jax.process_count()} processes have "
            f"{jax.device_count()}; set 0, and start fewer processes to use fewer."
        )
    return wanted or jax.device_count()


def check_attention(model: MaeConfig) -> None:
    """Raise a ConfigError where the model asks for attention that this machine has not."""
    if model.attention_implementation != "xla" and jax.default_backend() != "gpu":
        raise ConfigError(
            f"model.attention_implementation is {model.attention_implementation!r}, which needs an "
            f"NVIDIA GPU, but JAX runs on {jax.default_backend()!r} here; set it to 'xla', or "
            "install jax[cuda13] (README.md)."
        )


def describe_environment(config: ConfigDict, contract: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a run's config.json: settings, contract, command, versions, devices."""
    return {
        "command": shlex.join(sys.argv),
        "config": config.to_dict(),
        "contract": dict(contract),
        "devices": [str(device) for device in jax.devices()],
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    packages = {package: metadata.version(package) for package in _PACKAGES}
    return {"python": platform.python_version(), "physio_mae_jax": __version__} | packages


def provenance() -> dict[str, Any]:
    """Return command, versions and devices for an evaluation card."""
    return {
        "command": shlex.join(["python", "-m", "physio_mae_jax.main", *sys.argv[1:]]),
        "versions": _versions(),
        "device": ", ".join(sorted({device.device_kind for device in jax.devices()})),
    }


def channel_names_of(workdir: Path) -> int:
    """Return how many channel names have a vector in the model that a work folder trains.

    That of a run begun by an earlier version has fewer than a new one.
    """
    saved = saved_contract(workdir / "checkpoints")
    if saved is None:
        return len(VOCABULARY)
    number = saved.get("model", {}).get("num_channel_names", NUM_FIRST_NAMES)
    return number if isinstance(number, int) else len(VOCABULARY)


def write_run_metadata(
    config: ConfigDict, workdir: Path, contract: Mapping[str, Any], split: Mapping[str, Any]
) -> None:
    """Write config.json and split.json, if this is the process that writes.

    Where the folder holds a run to go on with, other settings than it had are told.

    Raises:
        UserError: the disk is full, or the folder holds a run that these settings cannot go on
            with, whose own description must stay.
    """
    checkpoints = workdir / "checkpoints"
    saved = saved_contract(checkpoints)
    if saved is not None:
        refuse_other_contract(checkpoints, saved, contract)
        _compare_settings(workdir, config)
    if jax.process_index() == 0:
        with atomic_files.disk_full_as_user_error(workdir):
            described = sealed(describe_environment(config, contract))
            atomic_files.write_json(workdir / "config.json", described)
            atomic_files.write_json(workdir / "split.json", dict(split))


def _compare_settings(workdir: Path, config: ConfigDict) -> None:
    """Tell in what a run goes on with other settings, and refuse what it cannot go on with.

    Settings that the earlier description does not name are of a later version, and not looked at.

    Raises:
        ConfigError: another task, other examples, or an average of parameters on one side only.
    """
    path = workdir / "config.json"
    if not path.is_file():
        return
    way_out = "move the file away to go on with the settings given, or choose another --workdir."
    before = read_sealed(path, way_out).get("config")
    if not isinstance(before, dict) or "task" not in before:
        raise DataError(f"{path} holds no settings under 'config'; {way_out}")
    now = json.loads(json.dumps(config.to_dict()))
    if before["task"] != now["task"]:
        raise ConfigError(
            f"{workdir} is the folder of a run of task {before['task']!r}, which task "
            f"{now['task']!r} would overwrite; choose another --workdir."
        )
    changed = differing(before, now)
    for name in _SAMPLING_KEYS:
        if name in changed:
            raise ConfigError(
                f"{name} is another one than the run in {workdir} began with, by which its "
                f"examples and their order were drawn: {value_of(now, name)!r}, not "
                f"{value_of(before, name)!r}. Give that again, or another --workdir."
            )
    averages = [settings.get("ema_decay", 0.0) for settings in (before, now)]
    if bool(averages[0]) != bool(averages[1]):
        raise ConfigError(
            f"ema_decay={averages[1]}, but the run in {workdir} began with {averages[0]}; an "
            "average of the parameters is kept from the start or not at all. Give that again, or "
            "another --workdir."
        )
    if changed and jax.process_index() == 0:
        _LOG.warning("from here on with other settings than before of %s", some(changed))

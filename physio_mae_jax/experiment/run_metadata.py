"""Checks of the machine of a run; writes config.json and checks it on resume."""

import json
import logging
import platform
import shlex
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import jax

from physio_mae_jax import __version__, atomic_files
from physio_mae_jax.data.sealed_json import add_seal, read_sealed
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.experiment.config_diff import find_differences, format_names, get_value
from physio_mae_jax.experiment.typed_config import ExperimentConfig
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.signals.vocabulary import NUM_FIRST_NAMES, VOCABULARY
from physio_mae_jax.training.checkpoint import load_model_spec, reject_other_model
from physio_mae_jax.types import JsonObject

_LOG = logging.getLogger(__name__)
# Settings that cannot change on resume: they fix the examples and their order.
_SAMPLING_KEYS = ("seed", "label_fraction", "data.sets", "balanced_sampling")
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain")


def count_devices(requested: int) -> int:
    """Return the number of devices of a run over all processes; ``requested`` 0 means all.

    Raises:
        ConfigError: Fewer devices exist, or some processes would have none.
    """
    if requested > jax.device_count():
        raise ConfigError(
            f"num_devices={requested}, but this machine has {jax.device_count()}; lower it or set "
            "0 for all."
        )
    if requested and jax.process_count() > 1 and requested != jax.device_count():
        raise ConfigError(
            f"num_devices={requested}, but the {jax.process_count()} processes have "
            f"{jax.device_count()}; set 0, and start fewer processes to use fewer."
        )
    return requested or jax.device_count()


def check_attention(model: MaeConfig) -> None:
    """Raise a ConfigError if this machine lacks the attention implementation of the model."""
    if model.attention_implementation != "xla" and jax.default_backend() != "gpu":
        raise ConfigError(
            f"model.attention_implementation is {model.attention_implementation!r}, which needs an "
            f"NVIDIA GPU, but JAX runs on {jax.default_backend()!r} here; set it to 'xla', or "
            "install jax[cuda13] (README.md)."
        )


def describe_environment(config: ExperimentConfig, model_spec: Mapping[str, object]) -> JsonObject:
    """Return the content of a run's config.json.

    Settings, model_spec, command, versions, devices.
    """
    return {
        "command": shlex.join(sys.argv),
        "config": dict(config.settings),
        "model_spec": dict(model_spec),
        "devices": [str(device) for device in jax.devices()],
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    packages = {package: metadata.version(package) for package in _PACKAGES}
    return {"python": platform.python_version(), "physio_mae_jax": __version__} | packages


def provenance() -> JsonObject:
    """Return command, versions and devices for an evaluation report."""
    return {
        "command": shlex.join(["python", "-m", "physio_mae_jax.main", *sys.argv[1:]]),
        "versions": _versions(),
        "device": ", ".join(sorted({device.device_kind for device in jax.devices()})),
    }


def count_channel_names(workdir: Path) -> int:
    """Return the number of channel names with an embedding in the model of a work folder.

    The model of a run started with an earlier version has fewer than a new one.
    """
    saved = load_model_spec(workdir / "checkpoints")
    if saved is None:
        return len(VOCABULARY)
    number = saved.get("model", {}).get("num_channel_names", NUM_FIRST_NAMES)
    return number if isinstance(number, int) else len(VOCABULARY)


def write_run_metadata(
    config: ExperimentConfig,
    workdir: Path,
    model_spec: Mapping[str, object],
    split: Mapping[str, object],
) -> None:
    """Write config.json and split.json, if this process is the writer.

    If the folder contains a run to resume, changed settings are logged.

    Raises:
        UserError: The disk is full, or the folder contains a run that these settings cannot resume,
            whose files are kept.
    """
    checkpoints = workdir / "checkpoints"
    saved = load_model_spec(checkpoints)
    if saved is not None:
        reject_other_model(checkpoints, saved, model_spec)
        _compare_settings(workdir, config)
    if jax.process_index() == 0:
        with atomic_files.disk_full_as_user_error(workdir):
            described = add_seal(describe_environment(config, model_spec))
            atomic_files.write_json(workdir / "config.json", described)
            atomic_files.write_json(workdir / "split.json", dict(split))


def _compare_settings(workdir: Path, config: ExperimentConfig) -> None:
    """Log the settings that change on resume, and raise on those that cannot change.

    Settings absent from the earlier config.json were added by a later version and are ignored.

    Raises:
        ConfigError: The task, the examples or the presence of a parameter average differs.
    """
    path = workdir / "config.json"
    if not path.is_file():
        return
    hint = "move the file to use the new settings, or choose another --workdir."
    before = read_sealed(path, hint).get("config")
    if not isinstance(before, dict) or "command" not in before:
        raise DataError(f"{path} has no settings under 'config'; {hint}")
    now = json.loads(json.dumps(dict(config.settings)))
    if before["command"] != now["command"]:
        raise ConfigError(
            f"{workdir} is the folder of a {before['command']!r} run, which "
            f"{now['command']!r} would overwrite; choose another --workdir."
        )
    changed = find_differences(before, now)
    for name in _SAMPLING_KEYS:
        if name in changed:
            raise ConfigError(
                f"{name}={get_value(now, name)!r} differs from {get_value(before, name)!r} of the "
                f"run in {workdir}; it fixes the examples and their order and cannot change on "
                "resume. Restore that value, or choose another --workdir."
            )
    averages = [settings.get("ema_decay", 0.0) for settings in (before, now)]
    if bool(averages[0]) != bool(averages[1]):
        raise ConfigError(
            f"ema_decay={averages[1]}, but the run in {workdir} started with {averages[0]}; an "
            "average of the parameters cannot be added or removed on resume. Restore that value, "
            "or choose another --workdir."
        )
    if changed and jax.process_index() == 0:
        _LOG.warning("resuming with changed settings: %s", format_names(changed))

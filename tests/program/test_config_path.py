"""A config is typed once, and few modules are handed the whole of it."""

import sys
from pathlib import Path

from ml_collections import ConfigDict

from physio_mae_jax.commands import load_command
from physio_mae_jax.experiment.typed_config import ExperimentConfig
from physio_mae_jax.setting_ranges import check_settings
from tests.paths import PACKAGE
from tests.runs import finetuning_config, pretraining_config

# Modules that a config may enter between the command line and the training loop. Everything else is
# given a section or a value.
MAX_MODULES = 12


def modules_given_config(run):
    """Return the modules whose functions get a config, in the order of calls.

    Consecutive calls of one module are one entry.
    """
    visited = []

    def record(frame, event, argument):
        del argument
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(str(PACKAGE)):
            return
        given = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if any(isinstance(frame.f_locals.get(n), ConfigDict | ExperimentConfig) for n in given):
            module = Path(code.co_filename).relative_to(PACKAGE).as_posix()
            if visited[-1:] != [module]:
                visited.append(module)

    sys.setprofile(record)
    try:
        run()
    finally:
        sys.setprofile(None)
    return visited


def prepare(config, build):
    """Check and type a config, and build the run that it describes."""
    check_settings(config)
    command = load_command(config)
    build(command, command.read(config))


def test_pretraining(waves_root, tmp_path):
    path = modules_given_config(
        lambda: prepare(
            pretraining_config(waves_root),
            lambda command, config: command.build_pretraining(config, tmp_path),
        )
    )
    assert "experiment/typed_config.py" in path
    assert len(set(path)) <= MAX_MODULES, path
    # The typing and the command itself are entered again after a call that they make.
    assert len(path) - len(set(path)) <= 4, path


def test_finetuning(waves_root, tmp_path):
    path = modules_given_config(
        lambda: prepare(
            finetuning_config(waves_root),
            lambda command, config: command.build_finetuning(config, tmp_path, strict=False),
        )
    )
    assert "experiment/typed_config.py" in path
    assert len(set(path)) <= MAX_MODULES, path

"""Command line: ``python -m physio_mae_jax.main --config=configs/pretrain.py --workdir=DIR``."""

import logging
import os
import sys

from absl import app, flags
from ml_collections import ConfigDict, config_flags

from physio_mae_jax import distributed
from physio_mae_jax.cli import (
    enable_compilation_cache,
    parse_flags,
    report_error,
    set_gpu_memory_fraction,
    set_up_logging,
)
from physio_mae_jax.commands import command_summaries, load_command, lock_arguments
from physio_mae_jax.distributed import CLUSTERS, ClusterConfig
from physio_mae_jax.errors import UserError
from physio_mae_jax.local_paths import local_folder
from physio_mae_jax.setting_ranges import check_settings, path_settings

_LOG = logging.getLogger("physio_mae_jax")

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "A file of configs/, with ':name=value,…' for its arguments.", lock_config=True
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for all files that the run writes.")
_STRICT = flags.DEFINE_bool(
    "strict", False, "Raise an error where a model was trained on its evaluation data."
)
_CLUSTER = flags.DEFINE_enum(
    "cluster", "auto", CLUSTERS, "Launcher of this run's processes; 'none': a single process."
)
_COORDINATOR = flags.DEFINE_string(
    "coordinator", "", "HOST:PORT of process 0, for clusters that JAX does not detect."
)
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", -1, "With --coordinator: size of the run.")
_PROCESS_ID = flags.DEFINE_integer("process_id", -1, "With --coordinator: rank, from 0.")
_CLUSTER_TIMEOUT = flags.DEFINE_integer(
    "cluster_timeout", 300, "Seconds to wait for the other processes at the start."
)


def main(argv: list[str]) -> None:
    """Run the command of the config."""
    if len(argv) > 1:
        raise UserError(f"arguments not understood: {' '.join(argv[1:])}; flags begin with --.")
    set_up_logging()
    set_gpu_memory_fraction()
    # Everything local is validated before waiting for other processes.
    config = _CONFIG.value
    workdir = local_folder(_WORKDIR.value, "--workdir")
    check_settings(config)
    _expand_homes(config)
    command = load_command(config)
    settings = command.read(config)
    distributed.join(
        ClusterConfig(
            kind=_CLUSTER.value,
            coordinator=_COORDINATOR.value,
            num_processes=_NUM_PROCESSES.value,
            process_id=_PROCESS_ID.value,
            timeout_seconds=_CLUSTER_TIMEOUT.value,
        )
    )
    enable_compilation_cache()
    from physio_mae_jax.training.work_folder import lock_workdir  # slow to import

    with (
        distributed.peer_loss_as_user_error(),
        lock_workdir(workdir, **lock_arguments(command, settings)),
    ):
        command.run(settings, workdir, strict=_STRICT.value)
    _LOG.info("done; everything is in %s", workdir)


def _expand_homes(config: ConfigDict) -> None:
    """Replace '~' in paths by the home folder: shells do not expand it after '='."""
    for name in path_settings(config):
        section, _, last = name.rpartition(".")
        holder = config[section] if section else config
        holder[last] = os.path.expanduser(holder[last])


def manual() -> str:
    """Return the manual page: usage, commands and examples."""
    commands = "\n".join(f"  {name:<18}{text}" for name, text in command_summaries().items())
    return f"""usage: python -m physio_mae_jax.main --config=configs/NAME.py[:name=value,...]
           --workdir=DIR [--config.SETTING=VALUE ...] [--strict]

Pre-train, fine-tune, evaluate and use masked autoencoders on physiological signals.
The same command resumes an interrupted run.

commands, each with a config in configs/ (evaluate.py also probes, loso.py leaves one subject out,
features.py extracts, retrieval.py retrieves, edge.py exports for devices):
{commands}

examples:
  python -m physio_mae_jax.main --config=configs/pretrain.py:preset=tiny,data=synthetic \\
      --workdir=runs/first
  python -m physio_mae_jax.main --config=configs/finetune.py:data=ptbxl \\
      --config.init_from=runs/first --workdir=runs/ptbxl_superclass
  python -m physio_mae_jax.main --config=configs/features.py --config.init_from=runs/first \\
      --config.data.sets=folder --config.data.path=DIR --workdir=features/mine

Each config file explains its settings and the arguments after the colon; the guides are in
physio_mae_jax/guides. physio_mae_jax.prepare prepares data sets, physio_mae_jax.release packs a
model to share, physio_mae_jax.benchmark measures speed and memory.
"""


def run_command_line() -> None:
    """Run ``main``; an error that the user can fix is printed in one line, without a traceback."""
    flags.mark_flags_as_required(["config", "workdir"])
    # absl prints the docstring of the main module before the flags.
    sys.modules["__main__"].__doc__ = manual()
    if len(sys.argv) == 1:
        print(manual(), file=sys.stderr)
    try:
        app.run(main, flags_parser=lambda argv: parse_flags(argv, _CONFIG))
    except Exception as error:
        status = report_error(error)
        if distributed.is_joined():
            distributed.exit_process(status)
        sys.exit(status)


if __name__ == "__main__":
    run_command_line()

"""Command line: ``python -m physio_mae_jax.main --config=configs/pretrain.py --workdir=DIR``."""

import logging
import os
import sys
from pathlib import Path
from typing import Any

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
    """Build and run the task of the config."""
    if len(argv) > 1:
        raise UserError(f"arguments not understood: {' '.join(argv[1:])}; flags begin with --.")
    set_up_logging()
    set_gpu_memory_fraction()
    # Everything local is validated before waiting for other processes.
    config = _CONFIG.value
    workdir = local_folder(_WORKDIR.value, "--workdir")
    check_settings(config)
    _expand_homes(config)
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
    from physio_mae_jax.training.work_folder import hold  # heavy, see _run

    with distributed.peer_loss_as_user_error(), hold(workdir, **_sharing(config)):
        _run(config, workdir)
    _LOG.info("done; everything is in %s", workdir)


def _expand_homes(config: ConfigDict) -> None:
    """Replace '~' in paths by the home folder: shells do not after '='."""
    for name in path_settings(config):
        section, _, last = name.rpartition(".")
        holder = config[section] if section else config
        holder[last] = os.path.expanduser(holder[last])


def _sharing(config: ConfigDict) -> dict[str, Any]:
    """Return how a task shares its work folder with other processes of the same work."""
    if config.command in ("compare", "loso"):
        return {"shared": True, "share": "" if config.worker else "report"}
    if config.command == "features":
        from physio_mae_jax.inference.feature_store.extraction import process_share

        index, count = process_share(config.process_index, config.process_count)
        return {"share": f"process_{index}_of_{count}" if count > 1 else ""}
    return {}


def _run(config: ConfigDict, workdir: Path) -> None:
    """Do the task of a config."""
    # Heavy imports wait until the flags are validated, and each task has
    # its own: scikit-learn alone takes seconds.
    if config.command == "pretrain":
        from physio_mae_jax.experiment.pretraining import build_pretraining
        from physio_mae_jax.training.loop import train

        train(build_pretraining(config, workdir))
    elif config.command == "finetune":
        from physio_mae_jax.evaluation.finetune import finetune
        from physio_mae_jax.experiment.finetuning import build_finetuning

        finetune(build_finetuning(config, workdir, strict=_STRICT.value))
    elif config.command == "features":
        from physio_mae_jax.experiment.features import build_features
        from physio_mae_jax.inference.feature_store.extraction import extract_features

        extract_features(build_features(config, workdir))
    elif config.command == "retrieval":
        from physio_mae_jax.evaluation.retrieval import retrieve
        from physio_mae_jax.experiment.run_directory import build_retrieval

        retrieve(build_retrieval(config, workdir, strict=_STRICT.value))
    elif config.command == "compare":
        from physio_mae_jax.evaluation.comparison import compare_models
        from physio_mae_jax.experiment.comparison import build_comparison

        compare_models(build_comparison(config, workdir, strict=_STRICT.value))
    elif config.command == "loso":
        from physio_mae_jax.evaluation.leave_one_out import leave_one_out
        from physio_mae_jax.experiment.leave_one_out import build_leave_one_out

        leave_one_out(build_leave_one_out(config, workdir, strict=_STRICT.value))
    elif config.method == "head":
        from physio_mae_jax.evaluation.finetune import evaluate_run
        from physio_mae_jax.experiment.evaluate import build_evaluation

        evaluate_run(build_evaluation(config, workdir, strict=_STRICT.value))
    else:
        from physio_mae_jax.evaluation.evaluate_probe import evaluate_probe
        from physio_mae_jax.experiment.probe import build_probe

        evaluate_probe(build_probe(config, workdir, strict=_STRICT.value))


def run_command_line() -> None:
    """Run ``main``; an error that the user can fix is printed in one line, without a traceback."""
    flags.mark_flags_as_required(["config", "workdir"])
    try:
        app.run(main, flags_parser=lambda argv: parse_flags(argv, _CONFIG))
    except Exception as error:
        status = report_error(error)
        if distributed.is_joined():
            distributed.exit_process(status)
        sys.exit(status)


if __name__ == "__main__":
    run_command_line()

"""Command line: ``python -m physio_mae_jax.main --config=configs/pretrain.py --workdir=DIR``."""

import logging
import sys
from pathlib import Path

from absl import app, flags
from ml_collections import config_flags

from physio_mae_jax.command_line import parse_flags, set_up_logging
from physio_mae_jax.errors import UserError

_LOG = logging.getLogger("physio_mae_jax")

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "A file of configs/, with ':name=value,…' for its arguments.", lock_config=True
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for all that the run writes.")
_STRICT = flags.DEFINE_bool(
    "strict", False, "Refuse to judge a model on anything that it was trained on."
)


def main(argv: list[str]) -> None:
    """Build what the config describes and run it."""
    if len(argv) > 1:
        raise UserError(f"arguments not understood: {' '.join(argv[1:])}; flags begin with --.")
    set_up_logging()
    # Heavy imports wait until the flags are known to be right, and each task has
    # its own: scikit-learn alone takes seconds.
    config, workdir = _CONFIG.value, Path(str(_WORKDIR.value))
    if config.task == "pretrain":
        from physio_mae_jax.experiment.pretraining import build_pretraining
        from physio_mae_jax.training.loop import train

        train(build_pretraining(config, workdir))
    elif config.task == "finetune":
        from physio_mae_jax.evaluation.trained import finetune
        from physio_mae_jax.experiment.finetuning import build_finetuning

        finetune(build_finetuning(config, workdir, strict=_STRICT.value))
    elif config.task == "retrieval":
        from physio_mae_jax.experiment.past_run import build_retrieval
        from physio_mae_jax.inference.retrieval import retrieve

        retrieve(build_retrieval(config, workdir, strict=_STRICT.value))
    elif config.task == "compare":
        from physio_mae_jax.evaluation.comparison import compare_models
        from physio_mae_jax.experiment.comparison import build_comparison

        compare_models(build_comparison(config, workdir, strict=_STRICT.value))
    elif config.task == "loso":
        from physio_mae_jax.evaluation.leave_one_out import leave_one_out
        from physio_mae_jax.experiment.leave_one_out import build_leave_one_out

        leave_one_out(build_leave_one_out(config, workdir, strict=_STRICT.value))
    elif config.method == "head":
        from physio_mae_jax.evaluation.trained import judge_trained
        from physio_mae_jax.experiment.trained import build_trained

        judge_trained(build_trained(config, workdir, strict=_STRICT.value))
    else:
        from physio_mae_jax.evaluation.frozen import judge_frozen
        from physio_mae_jax.experiment.frozen import build_frozen

        judge_frozen(build_frozen(config, workdir, strict=_STRICT.value))
    _LOG.info("done; everything is in %s", workdir.absolute())


def run_command_line() -> None:
    """Run ``main``; what a user can mend is told in one line, without a traceback."""
    flags.mark_flags_as_required(["config", "workdir"])
    try:
        app.run(main, flags_parser=lambda argv: parse_flags(argv, _CONFIG))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    run_command_line()

"""Command line: ``python -m physio_mae_jax.main --config=configs/pretrain.py --workdir=DIR``."""

import logging
import sys
from pathlib import Path

from absl import app, flags
from absl import logging as absl_logging
from ml_collections import config_flags

from physio_mae_jax.errors import UserError

_LOG = logging.getLogger("physio_mae_jax")
_ORBAX_FILES = ("future.py", "async_checkpointer.py", "checkpoint_manager.py")

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
    _set_up_logging()
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
    elif config.task == "features":
        from physio_mae_jax.experiment.features import build_features
        from physio_mae_jax.inference.features import extract_features

        extract_features(build_features(config, workdir))
    elif config.task == "retrieval":
        from physio_mae_jax.experiment.past_run import build_retrieval
        from physio_mae_jax.inference.retrieval import retrieve

        retrieve(build_retrieval(config, workdir, strict=_STRICT.value))
    elif config.method == "head":
        from physio_mae_jax.evaluation.trained import judge_trained
        from physio_mae_jax.experiment.trained import build_trained

        judge_trained(build_trained(config, workdir, strict=_STRICT.value))
    else:
        from physio_mae_jax.evaluation.frozen import judge_frozen
        from physio_mae_jax.experiment.frozen import build_frozen

        judge_frozen(build_frozen(config, workdir, strict=_STRICT.value))
    _LOG.info("done; everything is in %s", workdir.absolute())


def _set_up_logging() -> None:
    """Show our own lines at INFO and those of the libraries from WARNING on."""
    absl_logging.set_verbosity(absl_logging.WARNING)
    # What the threads of Orbax raise reaches us and is told once; they would print it many times.
    absl_logging.get_absl_handler().addFilter(lambda record: record.filename not in _ORBAX_FILES)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", datefmt="%H:%M:%S"))
    _LOG.addHandler(handler)
    _LOG.setLevel(logging.INFO)
    _LOG.propagate = False


def _parse_flags(argv: list[str]) -> list[str]:
    """Parse the flags; wrong ones, and what a config file refuses, become a ``UserError``."""
    try:
        rest = flags.FLAGS(argv)
        _CONFIG.value.keys()  # a config file that could not be read says so only when used
        return rest
    except (flags.Error, KeyError, AttributeError, OSError, ValueError, TypeError) as error:
        raise UserError(_reason(error)) from error


def _reason(error: Exception) -> str:
    """Word an error of the config flags without the tracebacks they put into its text."""
    text = str(error.args[0] if error.args else error)
    said = " ".join(text.rsplit("Error: ", 1)[-1].replace("\\n", " ").replace("\\'", "'").split())
    if isinstance(error, KeyError | AttributeError):
        return f"a --config.… flag names no setting of this config: {said}"
    return said


def run_command_line() -> None:
    """Run ``main``; what a user can mend is told in one line, without a traceback."""
    flags.mark_flags_as_required(["config", "workdir"])
    try:
        app.run(main, flags_parser=_parse_flags)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    run_command_line()

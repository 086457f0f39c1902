"""Build a comparison of models from a ConfigDict."""

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.evaluation.comparison import ComparisonRun
from physio_mae_jax.evaluation.evaluate_probe import evaluate_probe
from physio_mae_jax.evaluation.finetune import EvaluationConfig, finetune
from physio_mae_jax.evaluation.summary import ComparedTrial
from physio_mae_jax.experiment.classifiers import MAE, EncoderInit, init_from_encoder
from physio_mae_jax.experiment.finetuning import build_finetuning
from physio_mae_jax.experiment.labelled_data import LabelledData, open_labelled
from physio_mae_jax.experiment.probe import PRETRAINED, build_probe
from physio_mae_jax.experiment.run_metadata import provenance
from physio_mae_jax.experiment.sweep import check_workers, record_settings
from physio_mae_jax.experiment.typed_config import to_dataclass
from physio_mae_jax.printable import printable
from physio_mae_jax.setting_ranges import check_settings
from physio_mae_jax.training import atomic_files
from physio_mae_jax.training.trials import Trial

# Rows initialised with the weights of --config.init_from; the others train from scratch.
_PRETRAINED = "pretrained"
_SHARED = ("data", "labels", "evaluation")
# Settings that decide how much of the table is computed and by which worker, not its content.
_CHANGEABLE_KEYS = ("models", "label_fractions", "seeds", "num_workers", "worker")


def build_comparison(config: ConfigDict, workdir: Path, *, strict: bool) -> ComparisonRun:
    """List the entries of a comparison; data and encoder are opened when the first one runs.

    Args:
        config: ConfigDict as returned by ``configs/compare.py``.
        workdir: Work folder, created if absent; the settings are written into it.
        strict: Whether to raise where test data was used to pre-train the encoder.

    Raises:
        UserError: A setting is wrong, or the folder holds a comparison with other settings.
    """
    check_settings(config)
    rows = _listed(config, "models", str)
    known = [name for name in config if "batch_size" in _section(config, name)]
    for row in rows:
        if row not in known:
            raise ConfigError(f"models must be of {', '.join(known)}; got {row!r}.")
    fractions, seeds = _listed(config, "label_fractions", float), _listed(config, "seeds", int)
    for seed in seeds:
        check_settings({"seed": seed})
    evaluation = to_dataclass(EvaluationConfig, "evaluation", config.evaluation)
    check_workers(config.num_workers)
    workdir = atomic_files.prepare_workdir(workdir)
    record_settings(
        config, workdir, (*_CHANGEABLE_KEYS, *(row for row in known if row not in rows))
    )
    shared = _SharedInputs(config)
    compared = [
        ComparedTrial(row=row, fraction=fraction, seed=seed)
        for row in rows
        for fraction in fractions
        for seed in seeds
    ]
    return ComparisonRun(
        workdir=workdir,
        compared=tuple(compared),
        trials=tuple(Trial(one.name, _trial_runner(shared, one, strict)) for one in compared),
        title=f"{config.labels.task} on {config.data.sets}: models compared",
        num_workers=config.num_workers,
        writes_report=not config.worker,
        num_resamples=evaluation.num_resamples,
        describe=provenance,
    )


class _SharedInputs:
    """Objects that all entries of this process share, opened on first use."""

    def __init__(self, config: ConfigDict) -> None:
        self.config = config

    @functools.cached_property
    def encoder(self) -> EncoderInit:
        """Encoder of the run, for the input window of all rows."""
        return init_from_encoder(self.config.init_from, "", "", self.config.labels.window_seconds)

    @functools.cached_property
    def data(self) -> LabelledData:
        """Labelled data of the task."""
        return open_labelled(self.config, self.encoder.sampling_rate_hz, self.encoder.num_samples)


def _trial_runner(
    shared: _SharedInputs, trial: ComparedTrial, strict: bool
) -> Callable[[Path], Any]:
    """Return the job of one trial in its folder."""

    def run(folder: Path) -> None:
        row = _row_settings(shared.config, trial)
        encoder_init, data = shared.encoder, shared.data
        if "method" in row:
            if row.encoders == PRETRAINED:
                row.init_from = shared.config.init_from
            else:
                encoder_init = encoder_init._replace(pretrained=None)
            evaluate_probe(
                build_probe(row, folder, strict=strict, encoder_init=encoder_init, data=data)
            )
            return
        if trial.row == _PRETRAINED:
            row.init_from = shared.config.init_from
        else:
            encoder = encoder_init.config if row.architecture == MAE else None
            encoder_init = encoder_init._replace(config=encoder, pretrained=None)
        finetune(build_finetuning(row, folder, strict=strict, encoder_init=encoder_init, data=data))

    return run


def _row_settings(config: ConfigDict, trial: ComparedTrial) -> ConfigDict:
    """Return the settings of one trial, as in configs/finetune.py or configs/evaluate.py."""
    row = config[trial.row].copy_and_resolve_references()
    row.unlock()
    for name in _SHARED:
        row[name] = config[name]
    row.label_fraction, row.seed = trial.fraction, trial.seed
    row.init_from = row.torch_weights = row.torch_config = ""
    return row


def _section(config: ConfigDict, name: str) -> Any:
    return config[name] if isinstance(config[name], ConfigDict) else {}


def _listed(config: ConfigDict, name: str, kind: Callable[[str], Any]) -> list[Any]:
    """Read a comma-separated setting, each value once."""
    texts = [text.strip() for text in str(config[name]).split(",") if text.strip()]
    try:
        values = list(dict.fromkeys(kind(text) for text in texts))
    except ValueError as error:
        shown, why = printable(repr(config[name])), printable(error)
        raise ConfigError(f"{name} is {shown}: {why}; give a list such as '0,1,2'.") from error
    if not values:
        raise ConfigError(f"{name} must name at least one value; got an empty list.")
    if kind is float and not all(0 < value <= 1 and math.isfinite(value) for value in values):
        raise ConfigError(f"{name} must be fractions in (0, 1]; got {config[name]!r}.")
    return values

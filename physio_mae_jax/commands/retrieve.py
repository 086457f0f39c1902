"""Retrieve the ECG of a PPG window, and vice versa, by a contrastive model."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from physio_mae_jax import atomic_files
from physio_mae_jax.data.contamination import check_contamination
from physio_mae_jax.data.opening import require_split
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.synthetic import SyntheticCohort
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.evaluation.retrieval import RetrievalConfig, RetrievalRun, retrieve
from physio_mae_jax.experiment.run_directory import open_run
from physio_mae_jax.experiment.typed_config import ExperimentConfig, read_config
from physio_mae_jax.models.contrastive import ContrastiveAutoencoder
from physio_mae_jax.objectives.contrastive import NUM_MODALITIES
from physio_mae_jax.types import Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetrievalData:
    """Data to retrieve in instead of that of the run; '' keeps the run's setting."""

    sets: str
    root: str
    path: str
    split_rule: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetrieveConfig(ExperimentConfig):
    """Settings of a retrieval; ``configs/retrieval.py`` explains each."""

    init_from: str
    data: RetrievalData
    held_out: str = "test"
    max_windows_per_subject: int
    batch_size: int
    probe_recordings: int
    probe_windows: int


def read(config: Settings) -> RetrieveConfig:
    """Parse a config; raise a ConfigError if a setting is invalid."""
    return read_config(RetrieveConfig, config)


def run(config: RetrieveConfig, workdir: Path, *, strict: bool) -> None:
    """Rank the windows of held-out subjects."""
    retrieve(build_retrieval(config, workdir, strict=strict))


def build_retrieval(config: RetrieveConfig, workdir: Path, *, strict: bool) -> RetrievalRun:
    """Open the data of a contrastive run with its split, and load its encoder.

    Args:
        config: Settings.
        workdir: Work folder, created if absent.
        strict: Whether to raise if the evaluation data was used for training.

    Raises:
        UserError: The run does not exist, or it was not contrastive.
    """
    names = [field.name for field in dataclasses.fields(RetrievalConfig)]
    settings = RetrievalConfig(**{name: getattr(config, name) for name in names})
    past = open_run(
        config.init_from, {name: value for name, value in vars(config.data).items() if value}
    )
    if not isinstance(past.model, ContrastiveAutoencoder):
        raise ConfigError(
            f"the run in {config.init_from} was not contrastive (contrastive.weight=0), so its "
            "model does not align modalities; train one with "
            "--config=configs/pretrain.py:variant=contrastive."
        )
    opened = past.open()
    if opened.reader.config.num_channels != NUM_MODALITIES:
        raise ConfigError(
            f"the run in {config.init_from} aligns {NUM_MODALITIES} modalities, but the data has "
            f"windows of {opened.reader.config.num_channels} channels "
            f"({', '.join(opened.input_spec.channels)}); use data that has both channels of the "
            "run."
        )
    split = "test" if config.held_out == "test" and opened.splits["test"] else "validation"
    held_out = require_split(opened, split, past.data)
    report = check_contamination(past.trained_on, opened.source, held_out, strict=strict)
    return RetrievalRun(
        workdir=atomic_files.prepare_workdir(workdir),
        config=settings,
        model=past.model,
        lags=past.contrastive.lags(past.model.config),
        step_seconds=past.contrastive.step_seconds(past.model.config),
        encoders={"pretrained": past.trained, "random": past.untrained()},
        reader=opened.reader,
        training=opened.splits["train"],
        held_out=held_out,
        true_delay_seconds=_true_delay(opened.source),
        description={**past.describe(report), "evaluated split": split},
    )


def _true_delay(source: ConcatSource) -> Callable[[int], float] | None:
    """Return a function from recording to its ECG-to-PPG delay, or None for real data."""
    origin, _ = source.origin(0)
    if not isinstance(origin, SyntheticCohort):
        return None
    return lambda index: origin.truth(source.origin(index)[1]).pulse_transit_time_seconds

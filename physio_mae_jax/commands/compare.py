"""Compare models on one labeled task: models × fractions of the labels × seeds."""

import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from physio_mae_jax import atomic_files
from physio_mae_jax.commands.finetune import build_finetuning, finetune
from physio_mae_jax.commands.probe import PRETRAINED, build_probe, evaluate_probe
from physio_mae_jax.data.format_version import add_version
from physio_mae_jax.data.instances import LabelConfig
from physio_mae_jax.data.opening import DataConfig
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.evaluation import metric_sets
from physio_mae_jax.evaluation.comparison_text import render_comparison
from physio_mae_jax.evaluation.markdown import words
from physio_mae_jax.evaluation.protocol import EvaluationConfig
from physio_mae_jax.evaluation.results import plain
from physio_mae_jax.evaluation.summary import Cell, ComparedRun, ComparedTrial, summarize_comparison
from physio_mae_jax.experiment.classifiers import MAE, EncoderInit, init_from_encoder
from physio_mae_jax.experiment.configs import FinetuneConfig, ProbeConfig
from physio_mae_jax.experiment.labeled_data import LabeledData, open_labeled, require_window_labels
from physio_mae_jax.experiment.run_metadata import provenance
from physio_mae_jax.experiment.sweep import (
    check_complete,
    check_workers,
    record_settings,
    run_pending,
    sweep_lock_arguments,
)
from physio_mae_jax.experiment.typed_config import (
    ExperimentConfig,
    as_settings,
    read_config,
    to_dataclass,
)
from physio_mae_jax.plots.comparison import Series, draw_comparison
from physio_mae_jax.printable import printable
from physio_mae_jax.setting_ranges import check_settings
from physio_mae_jax.training.trials import Trial
from physio_mae_jax.types import JsonMapping, JsonObject, Settings

_Item = TypeVar("_Item")
_LOG = logging.getLogger(__name__)
# Row initialized with the weights of --config.init_from; the others train from scratch.
_PRETRAINED = "pretrained"
_SHARED = ("data", "labels", "evaluation")
# Settings that decide how much of the table is computed and by which worker, not its content.
_CHANGEABLE_KEYS = ("models", "label_fractions", "seeds", "num_workers", "worker")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompareConfig(ExperimentConfig):
    """Settings of a comparison; ``configs/compare.py`` explains each.

    Attributes:
        candidates: Settings of each model by its name, without those that all share.
    """

    init_from: str
    models: str
    label_fractions: str
    seeds: str
    num_workers: int
    worker: bool
    data: DataConfig
    labels: LabelConfig
    evaluation: EvaluationConfig
    candidates: Mapping[str, Settings]


lock_arguments = sweep_lock_arguments


def read(config: Settings) -> CompareConfig:
    """Parse a config; sections that are whole configs are the rows."""
    check_settings(config)
    settings = as_settings(config)
    rows = {name: value for name, value in settings.items() if _is_row(value)}
    own = {name: value for name, value in settings.items() if name not in rows}
    return to_dataclass(CompareConfig, "", {**own, "candidates": rows, "settings": settings})


def _is_row(value: object) -> bool:
    return isinstance(value, Mapping) and "batch_size" in value


def run(config: CompareConfig, workdir: Path, *, strict: bool) -> None:
    """Run the pending trials and write the table."""
    compare_models(build_comparison(config, workdir, strict=strict))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparisonRun:
    """Everything a comparison consists of.

    Attributes:
        workdir: Absolute path of the work folder.
        compared: All trials, those of the reference row first.
        trials: Job of each trial, in the same order.
        title: Title of the report.
        num_workers: Number of processes that run trials.
        writes_report: Whether the report is written at the end.
        num_resamples: Number of bootstrap replicates.
        describe: Function that returns command, versions and devices for the report; called last,
            since a device query acquires the devices, which the workers need until they are done.
    """

    workdir: Path
    compared: tuple[ComparedTrial, ...]
    trials: tuple[Trial, ...]
    title: str
    num_workers: int
    writes_report: bool
    num_resamples: int
    describe: Callable[[], JsonMapping]


def build_comparison(config: CompareConfig, workdir: Path, *, strict: bool) -> ComparisonRun:
    """List the trials of a comparison; data and encoder are opened when the first one runs.

    Args:
        config: Settings.
        workdir: Work folder, created if absent; the settings are written into it.
        strict: Whether to raise if test data was used to pre-train the encoder.

    Raises:
        UserError: A setting is wrong, or the folder contains a comparison with other settings.
    """
    rows, fractions, seeds = parse_axes(config)
    check_workers(config.num_workers)
    workdir = atomic_files.prepare_workdir(workdir)
    other_rows = [row for row in config.candidates if row not in rows]
    record_settings(config, workdir, (*_CHANGEABLE_KEYS, *other_rows))
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
        num_resamples=config.evaluation.num_resamples,
        describe=provenance,
    )


class _SharedInputs:
    """Objects that all trials of this process share, opened on first use."""

    def __init__(self, config: CompareConfig) -> None:
        self.config = config

    @functools.cached_property
    def encoder(self) -> EncoderInit:
        """Encoder of the run, for the input window of all rows."""
        return init_from_encoder(self.config.init_from, "", "", self.config.labels.window_seconds)

    @functools.cached_property
    def data(self) -> LabeledData:
        """Labeled data of the task."""
        data = open_labeled(
            self.config.data,
            self.config.labels,
            self.encoder.sampling_rate_hz,
            self.encoder.num_samples,
        )
        require_window_labels(data.instances["train"], self.config.labels.task, "a comparison")
        return data


def _trial_runner(
    shared: _SharedInputs, trial: ComparedTrial, strict: bool
) -> Callable[[Path], object]:
    """Return the function that runs one trial in its folder."""

    def run(folder: Path) -> None:
        settings = _row_settings(shared.config, trial)
        encoder_init, data = shared.encoder, shared.data
        if "method" in settings:
            probe = read_config(ProbeConfig, settings)
            if not probe.init_from:
                encoder_init = encoder_init._replace(pretrained=None)
            evaluate_probe(
                build_probe(probe, folder, strict=strict, encoder_init=encoder_init, data=data)
            )
            return
        tuned = read_config(FinetuneConfig, settings)
        if not tuned.init_from:
            encoder = encoder_init.config if tuned.architecture == MAE else None
            encoder_init = encoder_init._replace(config=encoder, pretrained=None)
        finetune(
            build_finetuning(tuned, folder, strict=strict, encoder_init=encoder_init, data=data)
        )

    return run


def _row_settings(config: CompareConfig, trial: ComparedTrial) -> JsonObject:
    """Return the settings of one trial, as in configs/finetune.py or configs/evaluate.py."""
    row = config.candidates[trial.row]
    is_pretrained = trial.row == _PRETRAINED or row.get("encoders") == PRETRAINED
    shared = {name: config.settings[name] for name in _SHARED}
    return {
        **row,
        **shared,
        "label_fraction": trial.fraction,
        "seed": trial.seed,
        "init_from": config.init_from if is_pretrained else "",
    }


def parse_axes(config: CompareConfig) -> tuple[list[str], list[float], list[int]]:
    """Return models, fractions and seeds of a comparison.

    Raises:
        ConfigError: One of them is unknown or out of range.
    """
    rows, known = parse_list("models", config.models, str), list(config.candidates)
    for row in rows:
        if row not in known:
            raise ConfigError(f"models must be among {', '.join(known)}; got {row!r}.")
    fractions = parse_list("label_fractions", config.label_fractions, float)
    seeds = parse_list("seeds", config.seeds, int)
    for seed in seeds:
        check_settings({"seed": seed})
    return rows, fractions, seeds


def parse_list(name: str, setting: str, kind: Callable[[str], _Item]) -> list[_Item]:
    """Parse a comma-separated setting; drop repeated values."""
    texts = [text.strip() for text in setting.split(",") if text.strip()]
    try:
        values = list(dict.fromkeys(kind(text) for text in texts))
    except ValueError as error:
        shown, why = printable(repr(setting)), printable(error)
        raise ConfigError(f"{name} is {shown}: {why}; set a list such as '0,1,2'.") from error
    if not values:
        raise ConfigError(f"{name} must name at least one value; got an empty list.")
    if not all(0 < value <= 1 for value in values if isinstance(value, float)):
        raise ConfigError(f"{name} must be fractions in (0, 1]; got {setting!r}.")
    return values


def compare_models(run: ComparisonRun) -> None:
    """Run the pending trials, then write comparison.json, comparison.md and their figure.

    Raises:
        UserError: A worker failed, or another process is still running a trial.
    """
    names = [trial.name for trial in run.trials]
    run_pending(run.workdir, lambda: run.trials, run.num_workers)
    if not run.writes_report:
        return
    check_complete(run.workdir, names)
    compared = [ComparedRun.read(run.workdir, trial) for trial in run.compared]
    cells = summarize_comparison(compared, num_resamples=run.num_resamples)
    series = _series(cells)
    metric = words(metric_sets.MAIN_METRICS[compared[0].predictions.kind])
    plot_file = run.workdir / "plots" / "comparison.png"
    atomic_files.write_figure(plot_file, lambda: draw_comparison(series, metric, run.title))
    run_context = run.describe()
    content = {
        "title": run.title,
        "how": run_context,
        "cells": cells,
        "shared": compared[0].context,
    }
    atomic_files.write_json(run.workdir / "comparison.json", add_version(plain(content)))
    text = render_comparison(run.title, cells, compared[0], run_context)
    atomic_files.write_text(run.workdir / "comparison.md", text)
    _LOG.info("wrote the table to %s", run.workdir / "comparison.md")


def _series(cells: Sequence[Cell]) -> list[Series]:
    rows = dict.fromkeys(cell.row for cell in cells)
    return [
        Series(
            label=row,
            fractions=np.asarray([cell.fraction for cell in cells if cell.row == row]),
            values=[np.asarray(list(c.values.values())) for c in cells if c.row == row],
        )
        for row in rows
    ]

"""Build the evaluation of a previously fine-tuned model from a ConfigDict."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from physio_mae_jax.data.contamination import check_contamination
from physio_mae_jax.data.instances import Units, find_units
from physio_mae_jax.data.json_types import typed as check_types
from physio_mae_jax.data.opening import DataConfig, DatasetBundle, open_data, require_split
from physio_mae_jax.data.splits import PARTS, is_leaking
from physio_mae_jax.data.unclear import warn_of_names_understood_since
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.evaluation.calibration import Calibration, read_decisions
from physio_mae_jax.evaluation.finetune import EvaluationConfig, TrainedRun
from physio_mae_jax.experiment.classifier_contract import ClassifierContract
from physio_mae_jax.experiment.classifiers import BASELINES, MAE, build_model
from physio_mae_jax.experiment.run_directory import WAY_OUT, Seed, check_setting, read_run
from physio_mae_jax.experiment.run_metadata import count_devices, provenance
from physio_mae_jax.experiment.settings import data_settings, typed
from physio_mae_jax.models.heads import HeadConfig
from physio_mae_jax.setting_ranges import check_settings
from physio_mae_jax.training import atomic_files
from physio_mae_jax.training.checkpoint import Checkpoints
from physio_mae_jax.training.model_spec import model_of_json
from physio_mae_jax.training.prediction import predict_units
from physio_mae_jax.training.sharding import check_batch_size, make_mesh
from physio_mae_jax.training.supervised_job import BEST, load_best
from physio_mae_jax.training.supervised_step import compile_prediction

EVERYONE = "all"


def build_evaluation(config: ConfigDict, workdir: Path, *, strict: bool) -> TrainedRun:
    """Load a fine-tuned model with its decisions, and open the data to evaluate it on.

    Args:
        config: ConfigDict as returned by ``configs/evaluate.py:method=head``.
        workdir: Work folder, created if absent.
        strict: Whether to raise where the model was trained on the evaluation data.

    Raises:
        UserError: The run does not exist or is unfinished, or the data cannot be opened.
    """
    check_settings(config)
    num_devices = count_devices(config.num_devices)
    check_batch_size(config.batch_size, 1, num_devices)
    evaluation = typed(EvaluationConfig, "evaluation", config.evaluation)
    settings = read_run(config.run)
    if workdir.resolve() == Path(config.run).resolve():
        raise ConfigError(
            f"--workdir={workdir} is the folder of the evaluated run, whose card would be "
            "overwritten; choose another --workdir."
        )
    past = _PastFinetuning.of(settings, config.run)
    decisions = _decisions_of(config.run)
    best = Path(config.run) / BEST
    with Checkpoints(best, keep=None) as checkpoints:
        checkpoints.refuse_damage()
        contract = ClassifierContract.from_json(checkpoints.contract(), best)
        seen = checkpoints.trained_on()
    warn_of_names_understood_since(config.run, contract.input.channels)
    opened, units = _open_judged(config, past, contract)
    judged = np.unique(units.recording).tolist()
    contamination = check_contamination(seen, opened.source, judged, strict=strict)
    workdir = atomic_files.prepare_workdir(workdir)
    predict = _prediction(config, past.architecture, contract, opened, make_mesh(num_devices))
    return TrainedRun(
        workdir=workdir,
        predict=predict,
        source=opened.source,
        units=units,
        decisions=decisions,
        config=evaluation,
        context=_context(config, past, opened, contamination.line()),
    )


class _PastFinetuning(NamedTuple):
    """Settings of a finished fine-tuning run."""

    architecture: str
    data: dict[str, Any]
    task: str
    seed: int

    @classmethod
    def of(cls, settings: Mapping[str, Any], folder: str) -> "_PastFinetuning":
        task = check_setting(settings, "task", str, folder)
        if task != "finetune":
            raise ConfigError(
                f"the run in {folder} was of task {task!r} and has no head; evaluate its features "
                "with --config=configs/evaluate.py:method=probe, or fine-tune it."
            )
        architecture = check_setting(settings, "architecture", str, folder)
        if architecture not in (MAE, *BASELINES):
            raise DataError(f"{folder}: architecture {architecture!r} is unknown; {WAY_OUT}")
        data = check_setting(settings, "data", dict, folder)
        check_setting(settings, "data", DataConfig, folder)
        units = check_setting(settings, "units", dict, folder)
        return cls(
            architecture=architecture,
            data=data,
            task=check_setting(units, "task", str, folder),
            seed=check_setting(settings, "seed", Seed, folder),
        )


def _open_judged(
    config: ConfigDict, past: _PastFinetuning, contract: ClassifierContract
) -> tuple[DatasetBundle, Units]:
    """Open the data of the run, or other data, and find the units to evaluate (run's classes)."""
    if config.part not in (*PARTS, EVERYONE):
        raise ConfigError(f"part must be one of {', '.join(PARTS)}, all; got {config.part!r}.")
    changes = {name: config[name] for name in ("sets", "root", "path", "split") if config[name]}
    if config.part == EVERYONE:
        changes["split"] = "none"
    data = data_settings(past.data | changes)
    if is_leaking(data.split):
        raise ConfigError(
            f"data.split={data.split!r} leaks, so the run cannot be evaluated on its own data; "
            "evaluate it on other data with --config.sets and --config.split."
        )
    window = contract.input
    opened = open_data(
        data,
        window.sampling_rate_hz,
        window.num_samples,
        progress=jax.process_index() == 0,
    )
    channels = opened.reader.config.num_channels
    if past.architecture != MAE and channels != window.num_channels:
        raise ConfigError(
            f"{past.architecture} was trained on {window.num_channels} channels, but the data "
            f"has {channels}; the two must match."
        )
    part = "train" if config.part == EVERYONE else config.part
    units = contract.units
    # In the order of the outputs; the data may define more classes.
    classes = units.classes if units.kind == "regression" else ",".join(units.names)
    recordings = require_split(opened, part, data)
    return opened, find_units(opened.source, opened.reader, recordings, units.settings(classes))


def _prediction(
    config: ConfigDict,
    architecture: str,
    contract: ClassifierContract,
    opened: DatasetBundle,
    mesh: Mesh,
) -> Callable[[Units], np.ndarray]:
    """Load the model; return a function that predicts units with it."""
    encoder = None
    if architecture == MAE:
        where = f"the model in {config.run}"
        encoder = model_of_json(contract.model, where).for_platform(jax.default_backend())
    num_outputs = len(contract.units.names)
    model, _ = build_model(architecture, encoder, _head(contract, config.run), num_outputs)
    shape = (contract.input.num_channels, contract.input.num_samples)
    params, model_state = load_best(
        Path(config.run), model, shape, mesh, opened.reader.config.num_channels
    )
    compiled = compile_prediction(model, mesh)
    mean, deviation = np.asarray(contract.targets.mean), np.asarray(contract.targets.deviation)

    def predict(units: Units) -> np.ndarray:
        logits = predict_units(
            lambda batch: compiled(params, model_state, batch),
            opened.reader,
            units,
            mesh,
            config.batch_size,
            config.num_threads,
        )
        return logits * deviation + mean

    return predict


def _head(contract: ClassifierContract, run: str) -> dict[str, Any]:
    """Return the settings of a head; for a baseline, only the number of its outputs."""
    if set(contract.head) == {"num_classes"}:
        return dict(contract.head)
    where = f"the head of the model in {run}"
    return dataclasses.asdict(check_types(HeadConfig, dict(contract.head), where, WAY_OUT))


def _decisions_of(run: str) -> Calibration:
    path = Path(run) / "decisions.json"
    if not path.is_file():
        raise ConfigError(
            f"the run in {run} has no decisions.json, so it is unfinished; repeat its command "
            "to resume it."
        )
    return read_decisions(path)


def _context(
    config: ConfigDict, past: _PastFinetuning, opened: DatasetBundle, contamination: str
) -> dict[str, Any]:
    """Return the context of the card, shown beside the metrics."""
    sets = config.sets or past.data["sets"]
    return {
        "title": f"{past.task} on {sets}, {config.part}",
        **provenance(),
        "data": opened.content_hashes,
        "split": {"rule": opened.split.rule, "hash": opened.split.hash, "part": config.part},
        "contamination": contamination,
        "seeds": {"training": past.seed, "split": past.data["split_seed"]},
        "checkpoint": config.run,
        "model": past.architecture,
    }

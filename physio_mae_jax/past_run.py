"""The door to runs that are over: from a ConfigDict and a work folder to what examines them."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from physio_mae_jax.data.synthetic import SyntheticCohort
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment import build_model, open_data
from physio_mae_jax.inference.probe import ProbeConfig, ProbeRun, read_labels
from physio_mae_jax.inference.retrieval import RetrievalConfig, RetrievalRun
from physio_mae_jax.models.contrastive import ContrastiveAutoencoder
from physio_mae_jax.objectives.contrastive import ContrastiveConfig
from physio_mae_jax.objectives.pretraining import MaskedModel, Params
from physio_mae_jax.settings import DataConfig, model_settings, objective_settings, typed
from physio_mae_jax.training import artifacts
from physio_mae_jax.training.checkpoint import Checkpoints
from physio_mae_jax.training.step import init_params


def build_retrieval(config: ConfigDict, workdir: Path) -> RetrievalRun:
    """Open the data of a contrastive run as it was split, and load its encoder.

    Args:
        config: as ``configs/retrieval.py`` makes it.
        workdir: made if absent.

    Raises:
        UserError: there is no such run, or it was not contrastive.
    """
    settings = typed(RetrievalConfig, "config", _own_settings(config))
    past = open_run(config.run, config.data_path)
    if not isinstance(past.model, ContrastiveAutoencoder):
        raise ConfigError(
            f"the run in {config.run} was not contrastive (contrastive.weight=0), so its model "
            "aligns nothing; train one with --config=configs/pretrain.py:model=contrastive."
        )
    opened = open_data(past.data, past.model.config)
    source = opened.reader.source
    return RetrievalRun(
        workdir=artifacts.prepare_workdir(workdir),
        config=settings,
        model=past.model,
        encoders=past.encoders,
        reader=opened.reader,
        training=opened.training,
        held_out=opened.held_out,
        true_delay_seconds=(
            (lambda i: source.truth(i).pulse_transit_time_seconds)
            if isinstance(source, SyntheticCohort)
            else None
        ),
        description={"run": str(config.run), "data": past.data.path or past.data.source},
    )


def build_probe(config: ConfigDict, workdir: Path) -> ProbeRun:
    """Open labelled recordings and the encoder of a pre-training run.

    Args:
        config: as ``configs/probe.py`` makes it.
        workdir: made if absent.

    Raises:
        UserError: there is no such run, or the labels do not fit the recordings.
    """
    settings = typed(ProbeConfig, "config", _own_settings(config))
    past = open_run(config.run, config.data_path)
    opened = open_data(past.data, past.model.config)
    return ProbeRun(
        workdir=artifacts.prepare_workdir(workdir),
        config=settings,
        model=past.model,
        encoders=past.encoders,
        reader=opened.reader,
        labels=read_labels(Path(past.data.path), settings, len(opened.reader.source.recordings)),
        description={"run": str(config.run), "data": past.data.path},
    )


class PastRun(NamedTuple):
    """A pre-training run to look at: its model, before and after, and its data."""

    model: MaskedModel
    encoders: dict[str, Params]  # 'trained' and 'untrained'
    data: DataConfig


def open_run(folder: str, data_path: str) -> PastRun:
    """Build the model of a run again and load its newest checkpoint.

    Args:
        folder: work folder of the run.
        data_path: of its recordings if they have moved or others are meant, else ''.
    """
    settings = _read_run(folder)
    data = dict(settings["data"]) | ({"path": data_path} if data_path else {})
    cfg = model_settings(
        settings["model"], settings["window_seconds"], settings["sampling_rate_hz"]
    )
    contrastive = typed(ContrastiveConfig, "contrastive", settings["contrastive"])
    mask = objective_settings(settings["objective"]).mask
    model = build_model(cfg, contrastive)
    channels = 1 if contrastive.weight else 2
    untrained = jax.jit(lambda: init_params(model, mask, settings["seed"], channels))()
    with Checkpoints(Path(folder) / "checkpoints", keep=None) as checkpoints:
        trained = checkpoints.params(jax.eval_shape(lambda: untrained))
    encoders = {"trained": trained, "untrained": untrained}
    return PastRun(model, encoders, typed(DataConfig, "data", data))


def _read_run(folder: str) -> dict[str, Any]:
    """Read the settings that a run was started with."""
    path = Path(folder) / "config.json"
    if not folder or not path.is_file():
        raise ConfigError(
            f"config.run={folder!r} is not the work folder of a run ({path} is absent); give one "
            "with --config.run=DIR."
        )
    return json.loads(path.read_text(encoding="utf-8"))["config"]


def _own_settings(config: ConfigDict) -> dict[str, Any]:
    """Return a task's settings but those that say which run it looks at."""
    return {name: config[name] for name in config if name not in ("task", "run", "data_path")}

"""Finished runs: build their analyses from a ConfigDict and a work folder."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

import jax
from ml_collections import ConfigDict

from physio_mae_jax.data.contamination import (
    ContaminationReport,
    TrainingProvenance,
    check_contamination,
)
from physio_mae_jax.data.json_types import Between, typed
from physio_mae_jax.data.opening import DataConfig, DatasetBundle, open_data, require_split
from physio_mae_jax.data.regular_file import is_folder, shortened
from physio_mae_jax.data.sealed_json import read_sealed
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.synthetic import SyntheticCohort
from physio_mae_jax.data.unclear import warn_of_newly_recognized_names
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.evaluation.retrieval import RetrievalConfig, RetrievalRun
from physio_mae_jax.experiment.typed_config import to_dataclass
from physio_mae_jax.inference.trained_model import load_checkpoint
from physio_mae_jax.models.contrastive import ContrastiveAutoencoder
from physio_mae_jax.objectives.contrastive import NUM_MODALITIES
from physio_mae_jax.objectives.pretraining import MaskedModel, Params
from physio_mae_jax.setting_ranges import check_settings
from physio_mae_jax.training import atomic_files

CONFIG_FILE = "config.json"
HINT = "copy the run again, or choose another one."
Seed = Annotated[int, Between(0, 2**32 - 1)]
_T = TypeVar("_T")


def build_retrieval(config: ConfigDict, workdir: Path, *, strict: bool) -> RetrievalRun:
    """Open the data of a contrastive run as it was split, and load its encoder.

    Args:
        config: ConfigDict as returned by ``configs/retrieval.py``.
        workdir: Work folder, created if absent.
        strict: Whether to raise where the evaluation data was used for training.

    Raises:
        UserError: The run does not exist, or it was not contrastive.
    """
    check_settings(config)
    settings = to_dataclass(RetrievalConfig, "config", _command_settings(config))
    past = open_run(config.init_from, _data_overrides(config.data))
    if not isinstance(past.model, ContrastiveAutoencoder):
        raise ConfigError(
            f"the run in {config.init_from} was not contrastive (contrastive.weight=0), so its "
            "model "
            "aligns nothing; train one with --config=configs/pretrain.py:variant=contrastive."
        )
    opened = past.open()
    if opened.reader.config.num_channels != NUM_MODALITIES:
        raise ConfigError(
            f"the run in {config.init_from} aligns {NUM_MODALITIES} modalities, but the data has "
            f"windows of {opened.reader.config.num_channels} channels "
            f"({', '.join(opened.input_spec.channels)}); use data that has both channels of the "
            "run."
        )
    held_out = require_split(opened, "validation", past.data)
    report = check_contamination(past.trained_on, opened.source, held_out, strict=strict)
    return RetrievalRun(
        workdir=atomic_files.prepare_workdir(workdir),
        config=settings,
        model=past.model,
        encoders={"pretrained": past.trained, "random": past.untrained()},
        reader=opened.reader,
        training=opened.splits["train"],
        held_out=held_out,
        true_delay_seconds=_true_delay(opened.source),
        description=past.describe(report),
    )


class PretrainedRun(NamedTuple):
    """A pre-training run to examine: its initial and trained model, and its data.

    Attributes:
        folder: Work folder of the run.
        model: Model that it trained.
        trained: Parameters of its newest checkpoint.
        untrained: Function that returns its initial parameters.
        data: Data section of its settings.
        trained_on: Hashes of its training data.
    """

    folder: str
    model: MaskedModel
    trained: Params
    untrained: Callable[[], Params]
    data: DataConfig
    trained_on: TrainingProvenance

    def open(self) -> DatasetBundle:
        """Open the data with the split of the settings."""
        cfg = self.model.config
        return open_data(self.data, cfg.sampling_rate_hz, cfg.num_samples, progress=True)

    def describe(self, contamination: ContaminationReport) -> dict[str, Any]:
        """Return the context of a report: the run and its data."""
        return {
            "run": self.folder,
            "data": self.data.sets,
            "split": self.data.split_rule,
            "contamination": contamination.to_json(),
        }


def open_run(folder: str, changes: Mapping[str, Any]) -> PretrainedRun:
    """Build the model of a run again and load its newest checkpoint.

    Args:
        folder: Work folder of the run.
        changes: Data settings to replace, where the data has moved or other data is used.

    Raises:
        UserError: The run does not exist, or it was not a pre-training.
    """
    settings = read_run(folder)
    command = check_setting(settings, "command", str, folder)
    if command != "pretrain":
        raise ConfigError(
            f"the run in {folder} was a {command!r} run; name the work folder of a pre-training."
        )
    seed = check_setting(settings, "seed", Seed, folder)
    section = {**check_setting(settings, "data", dict, folder), **changes}
    data = check_setting({"data": section}, "data", DataConfig, folder)
    loaded = load_checkpoint(folder)
    warn_of_newly_recognized_names(folder, loaded.model_spec.input.channels)

    def untrained() -> Params:
        return jax.jit(loaded.model_spec.new_params)(jax.random.key(seed))

    return PretrainedRun(
        folder=folder,
        model=loaded.model_spec.build(),
        trained=loaded.params,
        untrained=untrained,
        data=data,
        trained_on=loaded.trained_on,
    )


def _true_delay(source: ConcatSource) -> Callable[[int], float] | None:
    """Return the delay from ECG to PPG of a recording, where it was synthesised."""
    origin, _ = source.origin(0)
    if not isinstance(origin, SyntheticCohort):
        return None
    return lambda index: origin.truth(source.origin(index)[1]).pulse_transit_time_seconds


def _data_overrides(data: ConfigDict) -> dict[str, Any]:
    """Return the data settings that a command overrides; '' keeps the run's own value."""
    return {name: data[name] for name in ("sets", "root", "path") if data[name]}


def read_run(folder: str) -> dict[str, Any]:
    """Read the settings of a run, as of its last resume.

    Raises:
        ConfigError: The folder is not that of a run.
        DataError: Its config.json is broken or was changed after it was written.
    """
    path = Path(folder) / CONFIG_FILE
    if not folder or not (is_folder(Path(folder)) and os.path.lexists(path)):
        raise ConfigError(
            f"init_from={shortened(folder)!r} is not the work folder of a run ({shortened(path)} "
            "is absent); give one with --config.init_from=DIR."
        )
    content = read_sealed(path, HINT)
    return check_setting(content, "config", dict, folder)


def check_setting(settings: Mapping[str, Any], name: str, kind: type[_T], folder: str) -> _T:
    """Return a setting of a run, checked to be of a type.

    Args:
        settings: Settings from ``read_run``, or a section of them.
        name: Name of the setting.
        kind: Expected type, as in ``data.json_types``.
        folder: Work folder of the run.

    Raises:
        DataError: The setting is absent or of another type.
    """
    where = f"{Path(folder) / CONFIG_FILE}: {name}"
    if name not in settings:
        raise DataError(f"{where} is absent; {HINT}")
    return typed(kind, settings[name], where, HINT)


def _command_settings(config: ConfigDict) -> dict[str, Any]:
    """Return a command's settings except those that select the run."""
    others = ("command", "init_from", "data")
    return {name: config[name] for name in config if name not in others}

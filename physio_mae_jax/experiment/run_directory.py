"""Load finished runs: their settings, and a pre-trained model with its data."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, NamedTuple, TypeVar

import jax

from physio_mae_jax.data.contamination import (
    ContaminationReport,
    TrainingProvenance,
)
from physio_mae_jax.data.json_types import Between, check_types
from physio_mae_jax.data.opening import DataConfig, DatasetBundle, open_data
from physio_mae_jax.data.regular_file import is_folder, shorten_path
from physio_mae_jax.data.sealed_json import read_sealed
from physio_mae_jax.data.unclear import warn_about_newly_recognized_names
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference.saved_model import is_saved_model, load_model
from physio_mae_jax.inference.shipped_models import find_model
from physio_mae_jax.inference.trained_model import load_checkpoint
from physio_mae_jax.objectives.contrastive import ContrastiveConfig
from physio_mae_jax.objectives.pretraining import MaskedModel
from physio_mae_jax.types import JsonObject, Params

CONFIG_FILE = "config.json"
# Beside a released model: the settings, data and cost of its run.
RECORD_FILE = "training.json"
HINT = "copy the run again, or choose another one."
Seed = Annotated[int, Between(0, 2**32 - 1)]
_T = TypeVar("_T")


class PretrainedRun(NamedTuple):
    """A pre-training run to examine: its initial and trained model, and its data.

    Attributes:
        folder: Work folder of the run.
        model: Model that it trained.
        contrastive: Contrastive objective it was trained with.
        trained: Parameters of its newest checkpoint.
        untrained: Function that returns its initial parameters.
        data: Data section of its settings.
        trained_on: Hashes of its training data.
    """

    folder: str
    model: MaskedModel
    contrastive: ContrastiveConfig
    trained: Params
    untrained: Callable[[], Params]
    data: DataConfig
    trained_on: TrainingProvenance

    def open(self) -> DatasetBundle:
        """Open the data with the split of the settings."""
        cfg = self.model.config
        return open_data(self.data, cfg.sampling_rate_hz, cfg.num_samples, progress=True)

    def describe(self, contamination: ContaminationReport) -> JsonObject:
        """Return the context of a report: the run and its data."""
        return {
            "run": self.folder,
            "data": self.data.sets,
            "split": self.data.split_rule,
            "contamination": contamination.to_json(),
        }


def open_run(folder: str, changes: Mapping[str, object]) -> PretrainedRun:
    """Build the model of a run again and load its newest checkpoint.

    Args:
        folder: Work folder of the run, or name or folder of a released model.
        changes: Data settings to replace, if the data has moved or other data is used.

    Raises:
        UserError: The run does not exist, or it was not a pre-training.
    """
    settings = read_run(folder)
    command = check_setting(settings, "command", str, folder)
    if command != "pretrain":
        raise ConfigError(
            f"the run in {folder} was a {command!r} run; give the work folder of a pre-training "
            "run."
        )
    seed = check_setting(settings, "seed", Seed, folder)
    section = {**check_setting(settings, "data", dict, folder), **changes}
    data = check_setting({"data": section}, "data", DataConfig, folder)
    loaded = load_model(folder) if is_saved_model(folder) else load_checkpoint(folder)
    warn_about_newly_recognized_names(folder, loaded.model_spec.input.channels)

    def untrained() -> Params:
        return jax.jit(loaded.model_spec.new_params)(jax.random.key(seed))

    return PretrainedRun(
        folder=folder,
        model=loaded.model_spec.build(),
        contrastive=loaded.model_spec.contrastive,
        trained=loaded.params,
        untrained=untrained,
        data=data,
        trained_on=loaded.trained_on,
    )


def read_run(folder: str) -> JsonObject:
    """Read the settings of a run, as of its last resume, or of the run of a released model.

    Raises:
        ConfigError: The folder is not that of a run, or the model was saved without settings.
        DataError: Its config.json is broken or was changed after it was written.
    """
    if folder and is_saved_model(folder):
        path = find_model(folder, "init_from") / RECORD_FILE
        if not os.path.lexists(path):
            raise ConfigError(
                f"init_from={shorten_path(folder)!r} is a saved model without the settings of its "
                f"run ({RECORD_FILE}), which this command needs; give the work folder of the run."
            )
    else:
        path = Path(folder) / CONFIG_FILE
        if not folder or not (is_folder(Path(folder)) and os.path.lexists(path)):
            raise ConfigError(
                f"init_from={shorten_path(folder)!r} is not the work folder of a run "
                f"({shorten_path(path)} is absent); give one with --config.init_from=DIR."
            )
    return check_setting(read_sealed(path, HINT), "config", dict, folder)


def check_setting(settings: Mapping[str, object], name: str, kind: type[_T], folder: str) -> _T:
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
    return check_types(kind, settings[name], where, HINT)

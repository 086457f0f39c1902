"""A pre-trained model of a run, loaded from the description in its checkpoint."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from physio_mae_jax.data.contamination import TrainingProvenance
from physio_mae_jax.data.regular_file import is_folder, shorten_path
from physio_mae_jax.errors import DataError, UserError
from physio_mae_jax.local_paths import local_path
from physio_mae_jax.models.contrastive import ContrastiveAutoencoder
from physio_mae_jax.models.mae import MaskedAutoencoder
from physio_mae_jax.training.integrity import step_numbers
from physio_mae_jax.training.model_spec import ModelSpec
from physio_mae_jax.types import Params


class TrainedModel(NamedTuple):
    """A pre-trained model.

    Attributes:
        model_spec: Description of the model and its input.
        params: Parameters of ``model_spec.build()``.
        trained_on: Hashes of the training data.
        origin: Path it was loaded from, for reports.
    """

    model_spec: ModelSpec
    params: Params
    trained_on: TrainingProvenance
    origin: str

    @property
    def autoencoder(self) -> MaskedAutoencoder:
        """The autoencoder, without a projection around it."""
        here = self.model_spec.model.for_inference().for_platform(jax.default_backend())
        return MaskedAutoencoder(here)

    @property
    def autoencoder_params(self) -> Params:
        """Parameters of ``autoencoder``."""
        wrapped = isinstance(self.model_spec.build(), ContrastiveAutoencoder)
        return self.params["autoencoder"] if wrapped else self.params


def load_checkpoint(path: str | Path) -> TrainedModel:
    """Load the newest checkpoint of a pre-training run.

    Args:
        path: Work folder of the run, or its folder of checkpoints.

    Raises:
        UserError: There is no complete pre-training checkpoint.
    """
    # Orbax and Grain take seconds; a model of ``save_pretrained`` needs neither.
    from physio_mae_jax.training.checkpoint import Checkpoints

    folder = _checkpoint_folder(local_path(path, "path"))
    with Checkpoints(folder, keep=None) as checkpoints:
        if checkpoints.latest_step is None:
            raise UserError(f"{folder} holds no complete checkpoint; name a run that has one.")
        checkpoints.reject_damage()
        where = f"the checkpoint in {folder}"
        model_spec = ModelSpec.from_json(checkpoints.model_spec(), where)
        params = checkpoints.parts({"params": expected_params(model_spec, where)})["params"]
        trained_on = checkpoints.trained_on()
    return TrainedModel(model_spec, params, trained_on, str(path))


def expected_params(model_spec: ModelSpec, where: str) -> Params:
    """Return names, shapes and types of the parameters of a model_spec.

    Raises:
        DataError: The model_spec describes no valid model.
    """
    try:
        return model_spec.abstract_params()
    except Exception as error:  # inconsistent sizes may raise anything
        raise DataError(
            f"the model that {where} describes cannot be made ({type(error).__name__}: "
            f"{str(error)[:300]}); copy it again, or use another one."
        ) from error


def fingerprint_of(trained: TrainedModel) -> str:
    """Hash the weights and the model_spec of a model."""
    found = hashlib.sha256(json.dumps(trained.model_spec.to_json(), sort_keys=True).encode())
    for name, values in sorted(named_arrays(trained.params).items()):
        found.update(name.encode())
        found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()


def named_arrays(params: Params) -> dict[str, np.ndarray]:
    """Return the arrays of parameters by their path, such as 'encoder/stack/norm/scale'."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {"/".join(str(key.key) for key in path): np.asarray(leaf) for path, leaf in leaves}


def _checkpoint_folder(path: Path) -> Path:
    for folder in (path / "checkpoints", path):
        if step_numbers(folder):
            return folder
    found = "holds no checkpoints" if is_folder(path) else "is not there"
    raise UserError(
        f"{shorten_path(path)} {found}; name the work folder of a pre-training run, such as "
        "runs/first. What save_pretrained wrote is loaded by Encoder.from_pretrained."
    )

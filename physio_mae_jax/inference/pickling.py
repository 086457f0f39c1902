"""Origin of an encoder, from which another process or a pickle can load it again."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np

from physio_mae_jax.data.contamination import TrainingProvenance
from physio_mae_jax.errors import DataError, UserError
from physio_mae_jax.inference.saved_model import load_model
from physio_mae_jax.inference.shipped_models import is_shipped
from physio_mae_jax.inference.trained_model import TrainedModel, load_checkpoint
from physio_mae_jax.local_paths import local_path
from physio_mae_jax.training.model_spec import ModelSpec
from physio_mae_jax.types import JsonMapping, JsonObject

CHECKPOINT, PRETRAINED = "checkpoint", "pretrained"


@dataclasses.dataclass(frozen=True)
class Origin:
    """The folder that a model was loaded from.

    Attributes:
        kind: 'checkpoint' of a run, or 'pretrained' for a folder of ``save_pretrained``.
        path: Absolute path of the folder, the name of a shipped model, or a name on the Hugging
            Face hub.
        allow_hub: Permission to download it from the hub.
    """

    kind: str
    path: str
    allow_hub: bool = False

    @classmethod
    def of(cls, kind: str, path: str | Path, allow_hub: bool = False) -> "Origin":
        """Return the source of a folder with an absolute path, or of a shipped model."""
        if kind == PRETRAINED and is_shipped(path):
            return cls(kind, str(path), allow_hub)
        folder = local_path(path, "path")
        found = folder.is_dir() or not allow_hub
        return cls(kind, str(folder if found else path), allow_hub)

    def load(self) -> TrainedModel:
        """Load the model; raises as ``load_checkpoint`` and ``load_model`` do."""
        if self.kind == CHECKPOINT:
            return load_checkpoint(self.path)
        return load_model(self.path, allow_hub=self.allow_hub)

    def load_again(self) -> TrainedModel:
        """Load the model for an encoder that was pickled with its path instead of its weights.

        Raises:
            DataError: The folder is gone or cannot be read.
        """
        try:
            return self.load()
        except UserError as error:
            raise DataError(
                f"a saved encoder refers to its folder {self.path}, which cannot be loaded: "
                f"{error} Put the folder back there, or construct the encoder from its new path "
                "and save it again."
            ) from error

    def other_weights(self) -> DataError:
        """Return the error for a folder that now holds another model."""
        return DataError(
            f"a saved encoder refers to its folder {self.path}, which now holds another model: "
            "the hash of its weights or model_spec differs (was the run trained further?). Restore "
            "the model, or construct the encoder again and save it."
        )


def to_plain(trained: TrainedModel) -> JsonObject:
    """Return a model as NumPy arrays and plain text."""
    return {
        "model_spec": json.dumps(trained.model_spec.to_json()),
        "params": jax.tree.map(np.asarray, trained.params),
        "trained_on": trained.trained_on.to_json(),
        "origin": trained.origin,
    }


def of_plain(content: JsonMapping) -> TrainedModel:
    """Invert ``to_plain``.

    Raises:
        DataError: The content is from another version of this program.
    """
    where, hint = "a saved encoder", "save it again with this version."
    return TrainedModel(
        model_spec=ModelSpec.from_json(json.loads(content["model_spec"]), where),
        params=content["params"],
        trained_on=TrainingProvenance.from_json(content["trained_on"], where, hint),
        origin=content["origin"],
    )

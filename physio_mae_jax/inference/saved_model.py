"""A model as a shareable folder: weights (safetensors), their description (JSON), and a card.

Neither file can hold code, and both are checked before use: the description against its own
hashes, the weights against the hash in the description, and names and shapes against the model it
describes. Hashes detect damage and careless edits, not tampering, since they can be recomputed; use
models from trusted sources that name their data correctly.
"""

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from physio_mae_jax import atomic_files
from physio_mae_jax.data.contamination import TrainingProvenance
from physio_mae_jax.data.format_version import unreadable_version
from physio_mae_jax.data.json_reader import read_json
from physio_mae_jax.data.json_types import Between, check_types
from physio_mae_jax.data.regular_file import is_folder, read_regular, shorten_path
from physio_mae_jax.data.sealed_json import add_seal, check_seal
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference.model_card import Card, render_card
from physio_mae_jax.inference.precision import FLOAT16, FLOAT32, StoredDtype, round_weights
from physio_mae_jax.inference.shipped_models import find_model
from physio_mae_jax.inference.trained_model import TrainedModel, expected_params, named_arrays
from physio_mae_jax.printable import show
from physio_mae_jax.training.model_spec import ModelSpec
from physio_mae_jax.types import JsonMapping, Params

WEIGHTS, DESCRIPTION, CARD = "model.safetensors", "config.json", "README.md"
FORMAT = "physio_mae_jax"
_SHOWN = 3


_HINT = "copy the folder again."
# Training-data hashes take most of it: 8 bytes per 10 s of a channel.
_MAX_DESCRIPTION_BYTES = 2 << 30
_MAX_WEIGHTS_BYTES = 64 << 30


class _Weights(TypedDict):
    file: Literal["model.safetensors"]
    sha256: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class SavedDescription:
    """The content of ``config.json``, see ``save_model``."""

    format: str
    weights: _Weights
    model_spec: JsonMapping
    trained_on: JsonMapping
    origin: str
    versions: Mapping[str, str]
    license: str = ""
    num_parameters: Annotated[int, Between(0)] = 0
    dtype: StoredDtype = "float32"


def save_model(
    trained: TrainedModel, folder: str | Path, card: Card, *, dtype: str = FLOAT32
) -> Path:
    """Write a model into a folder, each file atomically, the description last.

    Args:
        trained: Trained model.
        folder: Target folder, created if absent.
        card: Texts of the model card.
        dtype: Type of the stored weights, 'float32' or 'float16', see ``precision``.

    Returns:
        Path of the folder.

    Raises:
        UserError: The folder cannot be written to, the type is unknown, or the weights lose too
            much in it.
    """
    trained = round_weights(trained, dtype)
    target = atomic_files.prepare_workdir(folder, "folder")
    arrays = {
        name: np.ascontiguousarray(array, dtype if array.dtype == np.float32 else None)
        for name, array in named_arrays(trained.params).items()
    }
    weights = safetensors.numpy.save(arrays, {"format": FORMAT})
    description = {
        "format": FORMAT,
        "weights": {"file": WEIGHTS, "sha256": hashlib.sha256(weights).hexdigest()},
        "model_spec": trained.model_spec.to_json(),
        "trained_on": trained.trained_on.to_json(),
        # Only the name: the full path would reveal the author's machine.
        "origin": Path(trained.origin).name,
        "versions": {name: metadata.version(name) for name in ("jax", "flax")},
        "license": card.license,
        "num_parameters": sum(array.size for array in arrays.values()),
        "dtype": dtype,
    }
    with atomic_files.disk_full_as_user_error(target):
        with atomic_files.atomic_write(target / WEIGHTS) as partial:
            partial.write_bytes(weights)
        atomic_files.write_text(target / CARD, render_card(trained, arrays, card))
        atomic_files.write_json(target / DESCRIPTION, add_seal(description))
    return target


def is_saved_model(folder: str | Path) -> bool:
    """Return whether a name or path is that of a saved model, not of the work folder of a run.

    Raises:
        ConfigError: As ``shipped_models.find_model``.
    """
    return os.path.lexists(find_model(folder, "folder") / WEIGHTS)


def load_model(name: str | Path, *, allow_hub: bool = False) -> TrainedModel:
    """Load a model written by ``save_model``. No code in its files is executed.

    Args:
        name: Name of a shipped model, folder, or, with ``allow_hub``, 'owner/name' on the Hugging
            Face hub.
        allow_hub: Download the model from the hub if there is no such folder.

    Raises:
        UserError: The model is missing, of another kind or damaged; the message names the file.
    """
    folder = find_model(name, "name")
    if not is_folder(folder):
        folder = _from_hub(str(name)) if allow_hub else _not_there(folder)
    path = folder / DESCRIPTION
    description = read_description(folder)
    model_spec = ModelSpec.from_json(description.model_spec, str(path))
    trained_on = TrainingProvenance.from_json(description.trained_on, f"{path}: trained_on", _HINT)
    arrays = _weights(folder / WEIGHTS, description.weights)
    if description.dtype == FLOAT16:
        arrays = {name: _to_single(array) for name, array in arrays.items()}
    params = _tree(arrays, model_spec, folder / WEIGHTS)
    return TrainedModel(model_spec, params, trained_on, str(name))


def _to_single(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _not_there(folder: Path) -> Path:
    raise DataError(
        f"{shorten_path(folder)} is not a folder; give one that save_pretrained wrote, or a name "
        "of Encoder.available(). A model of the Hugging Face hub, 'owner/name', is fetched with "
        "allow_hub=True only. A run's work folder is loaded by Encoder.from_checkpoint."
    )


def _from_hub(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ConfigError(
            f"allow_hub=True for {shorten_path(name)!r} needs huggingface_hub; install it with pip "
            "install huggingface_hub, or download the three files yourself and give their folder."
        ) from error
    try:
        return Path(snapshot_download(name, allow_patterns=[WEIGHTS, DESCRIPTION, CARD]))
    except Exception as error:  # huggingface_hub and its dependencies raise many types
        raise DataError(
            f"{shorten_path(name)!r} cannot be fetched ({type(error).__name__}: "
            f"{str(error)[:300]}); "
            "check the name and the connection, or download its files and give their folder."
        ) from error


def read_description(folder: Path) -> SavedDescription:
    """Read the description of a saved model; raises as ``load_model`` does."""
    path = folder / DESCRIPTION
    content = read_json(path, _HINT, _MAX_DESCRIPTION_BYTES)
    found = content.get("format", "none") if isinstance(content, dict) else "none"
    if str(found).startswith(f"{FORMAT}/"):  # of version 0.1
        raise unreadable_version(str(path))
    if found != FORMAT:
        raise DataError(
            f"{path} describes no model of this program: its format is {show(found)}, {FORMAT!r} "
            "is expected. Save the model again by this version's save_pretrained; weights of the "
            "original are read by interop.torch.checkpoint_file."
        )
    return check_types(SavedDescription, check_seal(content, str(path), _HINT), str(path), _HINT)


def _weights(path: Path, about: _Weights) -> dict[str, np.ndarray]:
    content = read_regular(path, _HINT, _MAX_WEIGHTS_BYTES)
    found = hashlib.sha256(content).hexdigest()
    if found != about["sha256"]:
        raise DataError(
            f"{path} is damaged or of another model: its SHA-256 is {found[:16]}…, "
            f"{about['sha256'][:16]}… is expected; copy the folder again."
        )
    try:
        arrays = safetensors.numpy.load(content)
    except Exception as error:  # safetensors and NumPy raise several types
        raise DataError(f"{path} is not a safetensors file ({error}); copy it again.") from error
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise DataError(
                f"{path}: weight {show(name)} has values that are not finite, so the training "
                "failed; load another checkpoint of it."
            )
    return arrays


def _tree(arrays: Mapping[str, np.ndarray], model_spec: ModelSpec, path: Path) -> Params:
    """Unflatten arrays; reject missing and surplus arrays and wrong shapes."""
    abstract = expected_params(model_spec, str(path.with_name(DESCRIPTION)))
    leaves, tree = jax.tree_util.tree_flatten_with_path(abstract)
    expected = {"/".join(str(key.key) for key in keys): leaf for keys, leaf in leaves}
    wrong = [f"{name} is missing" for name in expected if name not in arrays]
    wrong += [f"{name} is not of this model" for name in arrays if name not in expected]
    wrong += [
        f"{name} is {arrays[name].dtype}{list(arrays[name].shape)}, not {leaf.dtype}"
        f"{list(leaf.shape)}"
        for name, leaf in expected.items()
        if name in arrays and (arrays[name].shape != leaf.shape or arrays[name].dtype != leaf.dtype)
    ]
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise DataError(
            f"{path} does not hold the model that {DESCRIPTION} beside it describes: "
            f"{'; '.join(wrong[:_SHOWN])}{more}. Use both files of one save_pretrained."
        )
    return jax.tree_util.tree_unflatten(tree, [jnp.asarray(arrays[name]) for name in expected])

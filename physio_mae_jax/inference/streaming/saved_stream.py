"""The state of a stream as one file, written atomically.

The file is an npz archive of the buffered samples and a JSON text with everything else, sealed by
hashes; nothing in it is executed.
"""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from physio_mae_jax import atomic_files
from physio_mae_jax.data.json_reader import parse_json
from physio_mae_jax.data.regular_file import open_regular
from physio_mae_jax.data.sealed_json import add_seal, check_seal
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.local_paths import local_path
from physio_mae_jax.printable import show
from physio_mae_jax.types import JsonObject

_PREFIX = "array."
_HINT = "save the stream again, or open a new one."


class SavedStream(NamedTuple):
    """State of a stream.

    Attributes:
        settings: Model and arguments of the stream.
        column: First column of the next window.
        first: Position of the first buffered sample in the signal.
        end: Why the stream has ended; '' while it is open.
        samples: Buffered samples [M, n].
        arrays: Other arrays by name, of a recurrent stream.
    """

    settings: JsonObject
    column: int
    first: int
    end: str
    samples: np.ndarray
    arrays: Mapping[str, np.ndarray] = MappingProxyType({})


def write_stream(state: SavedStream, path: str | Path) -> Path:
    """Write the state of a stream; returns the path."""
    target = local_path(path, "path")
    samples = np.ascontiguousarray(state.samples)
    content: JsonObject = {
        "format": "stream",
        "settings": state.settings,
        "column": state.column,
        "first": state.first,
        "end": state.end,
        "samples_sha256": _hash(samples),
    }
    if state.arrays:
        content["arrays_sha256"] = {name: _hash(array) for name, array in state.arrays.items()}
    arrays = {_PREFIX + name: array for name, array in state.arrays.items()}
    sealed = json.dumps(add_seal(content))
    atomic_files.prepare_workdir(target.parent, "path")
    with (
        atomic_files.disk_full_as_user_error(target.parent),
        atomic_files.atomic_write(target) as partial,
        partial.open("wb") as file,
    ):
        np.savez(file, allow_pickle=False, state=np.asarray(sealed), samples=samples, **arrays)
    return target


def reject_resuming(seconds: float, *, is_used: bool) -> None:
    """Raise a ConfigError if a stream was used, and so cannot take over a saved state."""
    if is_used:
        raise ConfigError(f"{seconds:g} s were already pushed to this stream; resume a new one.")


def read_stream(path: str | Path, settings: JsonObject) -> SavedStream:
    """Read the state of a stream with the given settings.

    Raises:
        DataError: The file is damaged or of another kind, or a setting differs.
    """
    source = local_path(path, "path")
    with open_regular(source, _HINT) as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                text, samples = str(archive["state"]), archive["samples"]
                arrays = {
                    name.removeprefix(_PREFIX): archive[name]
                    for name in archive.files
                    if name.startswith(_PREFIX)
                }
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
            raise _damaged(source, error) from error
        except zipfile.BadZipFile as error:
            raise _damaged(source, error) from error
    content = check_seal(parse_json(text.encode(), str(source), _HINT), str(source), _HINT)
    if content.get("format") != "stream" or content["samples_sha256"] != _hash(samples):
        raise _damaged(source, "its samples do not match their hash")
    if content.get("arrays_sha256", {}) != {name: _hash(values) for name, values in arrays.items()}:
        raise _damaged(source, "its arrays do not match their hashes")
    for name, wanted in settings.items():
        found = content["settings"].get(name)
        if found != wanted:
            raise DataError(
                f"{source} is of a stream with {name}={show(found)}; this one has "
                f"{name}={show(wanted)}. Open the stream with the arguments of the saved one."
            )
    position = (content["column"], content["first"], content["end"])
    return SavedStream(settings, *position, samples, arrays)


def _hash(samples: np.ndarray) -> str:
    found = hashlib.sha256(f"{samples.dtype.str} {samples.shape}".encode())
    found.update(np.ascontiguousarray(samples).tobytes())
    return found.hexdigest()


def _damaged(path: Path, reason: object) -> DataError:
    return DataError(f"{path} is not the state of a stream ({show(str(reason))}); {_HINT}")

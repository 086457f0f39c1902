"""Reading the arrays of a PyTorch checkpoint without PyTorch, and running nothing it holds.

A ``.pth`` file is a zip of raw arrays and one pickle that says how they make up tensors. A pickle
may name any function to be called, so the reader here knows a handful of names and refuses every
other one, as ``torch.load(weights_only=True)`` does.
"""

import collections
import dataclasses
import io
import math
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from physio_mae_jax.data.restricted_pickle import RestrictedUnpickler
from physio_mae_jax.errors import DataError

# Where training programs put the weights in a checkpoint that holds more than them.
_ENTRIES = ("model", "state_dict", "model_state_dict")
_DTYPES = {
    "DoubleStorage": np.dtype(np.float64),
    "FloatStorage": np.dtype(np.float32),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(jnp.bfloat16),
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
}


def read_state_dict(path: str | Path) -> dict[str, np.ndarray]:
    """Read the weights of a PyTorch checkpoint or of an ``.npz`` file.

    Args:
        path: an ``.npz`` of named arrays, or what ``torch.save`` of PyTorch 1.6 or newer wrote: a
            state dict, or a checkpoint that has one under "model", "state_dict" or
            "model_state_dict".

    Returns:
        Arrays by name; bfloat16 comes as ``jax.numpy.bfloat16``.

    Raises:
        DataError: the file is missing, cut short or of another kind, holds anything but tensors,
            containers, numbers and text, or has no state dict in it.
    """
    path = Path(path).expanduser()
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        with zipfile.ZipFile(path) as archive:
            content = _TorchArchive(path, archive).load()
    except FileNotFoundError as error:
        raise DataError(f"weights file {path} does not exist.") from error
    except zipfile.BadZipFile as error:
        raise DataError(
            f"{path} is not a whole .npz or .pth file ({error}); copy it again. A file of PyTorch "
            "before 1.6 must be loaded and saved again with a newer one."
        ) from error
    except DataError:
        raise
    except Exception as error:  # a broken pickle can raise nearly anything
        raise DataError(
            f"{path} cannot be read as weights ({type(error).__name__}: {error}); expected a file "
            "that torch.save or numpy.savez wrote."
        ) from error
    return _find_state_dict(path, content)


def _find_state_dict(path: Path, content: Any) -> dict[str, np.ndarray]:
    if not isinstance(content, Mapping):
        raise DataError(f"{path} holds a {type(content).__name__}, not a state dict.")
    for candidate in (content, *(content.get(name) for name in _ENTRIES)):
        if (
            isinstance(candidate, Mapping)
            and candidate
            and all(isinstance(value, np.ndarray) for value in candidate.values())
        ):
            return {str(name): value for name, value in candidate.items()}
    keys = ", ".join(map(str, list(content)[:10]))
    raise DataError(
        f"{path} has no state dict, neither as a whole nor under {', '.join(_ENTRIES)}; it has "
        f"{keys}. Save the state dict alone."
    )


@dataclasses.dataclass(frozen=True)
class _StorageType:
    """Stands for a class such as torch.FloatStorage, which names the type of numbers."""

    dtype: np.dtype


class _TorchArchive:
    """One zip file of torch.save."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._archive = archive
        self._storages: dict[str, np.ndarray] = {}
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise DataError(f"{path} is a zip but not one that torch.save wrote.")
        self._folder = pickles[0].removesuffix("data.pkl")

    def load(self) -> Any:
        """Unpickle with known names only."""
        order = f"{self._folder}byteorder"
        if order in self._archive.namelist() and self._read(order) != b"little":
            raise DataError(f"{self._path} was written on a big-endian machine; convert it there.")
        return _Unpickler(self._path, self._read(f"{self._folder}data.pkl"), self.storage).load()

    def storage(self, reference: Any) -> np.ndarray:
        """Return the flat numbers that a pickle refers to."""
        kind, storage_type, key, _, count = reference
        if kind != "storage" or not isinstance(storage_type, _StorageType):
            raise DataError(f"{self._path} refers to a {kind!r}, which is not known here.")
        if key not in self._storages:
            data = self._read(f"{self._folder}data/{key}")
            if len(data) != count * storage_type.dtype.itemsize:
                raise DataError(
                    f"{self._path}: array {key} has {len(data)} bytes, not those of {count} "
                    f"{storage_type.dtype} numbers."
                )
            self._storages[key] = np.frombuffer(data, storage_type.dtype)
        return self._storages[key]

    def _read(self, name: str) -> bytes:
        # torch.save never compresses; a tiny file could otherwise unpack to fill the memory.
        if self._archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
            raise DataError(f"{self._path}: {name} is compressed, which torch.save does not do.")
        return self._archive.read(name)


class _Unpickler(RestrictedUnpickler):
    """Builds containers, numbers, text and the arrays it refers to; other names are errors."""

    def __init__(self, path: Path, data: bytes, storage: Callable[[Any], np.ndarray]) -> None:
        advice = "Save the state dict alone: torch.save(model.state_dict(), path)."
        super().__init__(io.BytesIO(data), path, _KNOWN, advice)
        self._storage = storage

    def persistent_load(self, pid: Any) -> np.ndarray:
        """Return the array that the pickle refers to."""
        return self._storage(pid)


def _rebuild_tensor(
    storage: np.ndarray, offset: int, shape: Sequence[int], strides: Sequence[int], *_: Any
) -> np.ndarray:
    """Cut a tensor out of its storage; one that reaches outside of it is an error."""
    size = math.prod(shape)
    if size == 0:
        return np.zeros(shape, storage.dtype)
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if min(offset, *strides, *shape, 0) < 0 or last >= storage.size or size > storage.size:
        raise DataError(
            f"a tensor of shape {tuple(shape)} and strides {tuple(strides)} at {offset} does not "
            f"lie within its {storage.size} numbers; the file is broken."
        )
    steps = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False).copy()


def _rebuild_parameter(tensor: np.ndarray, *_: Any) -> np.ndarray:
    return tensor


_KNOWN: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch", "Size"): tuple,
    **{("torch", name): _StorageType(dtype) for name, dtype in _DTYPES.items()},
}

"""Reading of PyTorch checkpoints without PyTorch and without executing their content.

A ``.pth`` file is a zip of raw arrays and one pickle that describes the tensors. It is read by
``data.pickle_reader``, which accepts a handful of names and rejects all others. Files are
independent of each other, and the arrays of a file take at most a few times its size.
"""

import dataclasses
import io
import math
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import jax.numpy as jnp
import numpy as np

from physio_mae_jax.data.pickle_reader import PickleReader
from physio_mae_jax.data.pickle_values import (
    PickledObject,
    PickleError,
    UnknownNameError,
    hashable_key,
)
from physio_mae_jax.data.regular_file import open_regular, shorten_path
from physio_mae_jax.errors import DataError
from physio_mae_jax.local_paths import local_path
from physio_mae_jax.printable import show

# Keys under which training programs store the weights in a larger checkpoint.
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
# Maximum total size of the tensors of a file, which may share storages or be packed.
_FREE_BYTES = 256 << 20
_TIMES_THE_FILE = 16
_EXPECTED = "expected a file that torch.save or numpy.savez wrote."


def read_state_dict(path: str | Path) -> dict[str, np.ndarray]:
    """Read the weights of a PyTorch checkpoint or of an ``.npz`` file.

    Args:
        path: An ``.npz`` of named arrays, or a file of ``torch.save`` (PyTorch 1.6 or newer): a
            state dict, or a checkpoint that has one under "model", "state_dict" or
            "model_state_dict".

    Returns:
        Read-only arrays by name; bfloat16 is returned as ``jax.numpy.bfloat16``.

    Raises:
        UserError: The file is missing, truncated or of another kind, holds anything but tensors,
            containers, numbers and text, or has no state dict in it.
    """
    path = local_path(path, "path")
    if not os.path.exists(path):
        raise DataError(f"weights file {shorten_path(path)} does not exist.")
    with open_regular(path, _EXPECTED) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                if path.suffix == ".npz":
                    return _read_npz(file, archive)
                content = _TorchArchive(file, archive).load()
        except zipfile.BadZipFile as error:
            raise DataError(
                f"{path} is not a whole .npz or .pth file ({error}); copy it again. A file of "
                "PyTorch before 1.6 must be loaded and saved again with a newer one."
            ) from error
        except UnknownNameError as error:
            raise DataError(
                f"{path} {error}. Save the state dict alone: torch.save(model.state_dict(), path)."
            ) from error
        except Exception as error:  # a broken pickle can raise nearly anything
            raise DataError(
                f"{path} cannot be read as weights ({type(error).__name__}: {str(error)[:300]}); "
                f"{_EXPECTED}"
            ) from error
    return _find_state_dict(path, content)


def _read_npz(file: BinaryIO, archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    size = sum(member.file_size for member in archive.infolist())
    _check_size(size, file)
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _check_size(num_bytes: int, file: BinaryIO) -> None:
    """Reject arrays whose total size far exceeds that of their file."""
    size = file.seek(0, io.SEEK_END)
    if num_bytes > max(_FREE_BYTES, _TIMES_THE_FILE * size):
        raise DataError(f"its arrays have {num_bytes:,} bytes, but the file has {size:,} only")


def _find_state_dict(path: Path, content: object) -> dict[str, np.ndarray]:
    if not isinstance(content, Mapping):
        raise DataError(f"{path} holds a {type(content).__name__}, not a state dict.")
    for candidate in (content, *(content.get(name) for name in _ENTRIES)):
        if (
            isinstance(candidate, Mapping)
            and candidate
            and all(isinstance(value, np.ndarray) for value in candidate.values())
        ):
            return {str(name): value for name, value in candidate.items()}
    keys = ", ".join(key[:80] if isinstance(key, str) else show(key) for key in list(content)[:10])
    raise DataError(
        f"{path} has no state dict, neither as a whole nor under {', '.join(_ENTRIES)}; it has "
        f"{keys}. Save the state dict alone."
    )


@dataclasses.dataclass(frozen=True)
class _StorageType(PickledObject):
    """Stand-in for a class such as torch.FloatStorage, which names the number type."""

    dtype: np.dtype


@dataclasses.dataclass(frozen=True, eq=False)
class _Storage(PickledObject):
    """The flat numbers of one file of the archive; only the archive creates them."""

    numbers: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class _Tensor(PickledObject):
    """A tensor, as opposed to a storage."""

    array: np.ndarray

    def result(self) -> np.ndarray:
        """Return its array."""
        return self.array


class _Ordered(dict[object, object], PickledObject):
    """Stand-in for ``collections.OrderedDict``."""

    def build(self, state: object) -> None:
        """Accept the attributes that PyTorch sets on a state dict, none of which is needed."""


class _TorchArchive:
    """One zip file of torch.save."""

    def __init__(self, file: BinaryIO, archive: zipfile.ZipFile) -> None:
        self._file = file
        self._archive = archive
        self._storages: dict[tuple[str, np.dtype], _Storage] = {}
        self._stored_bytes = self._tensor_bytes = 0
        self._members = {member.filename: member for member in archive.infolist()}
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise DataError("it is a zip but not one that torch.save wrote")
        self._folder = pickles[0].removesuffix("data.pkl")

    def load(self) -> object:
        """Read the pickle with known names only."""
        order = f"{self._folder}byteorder"
        if order in self._members and self._read(order) != b"little":
            raise DataError("it was written on a big-endian machine; convert it there")
        content = self._read(f"{self._folder}data.pkl")
        return PickleReader(
            io.BytesIO(content), len(content), self._allowed_names(), self._storage
        ).read()

    def _allowed_names(self) -> Mapping[tuple[str, str], Callable[..., object] | PickledObject]:
        types = {("torch", name): _StorageType(dtype) for name, dtype in _DTYPES.items()}
        return {
            ("collections", "OrderedDict"): _ordered,
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch._utils", "_rebuild_parameter"): _parameter,
            ("torch", "Size"): _size,
            **types,
        }

    def _storage(self, reference: object) -> _Storage:
        """Return the flat numbers that the pickle refers to."""
        if not isinstance(reference, tuple) or len(reference) != 5:
            raise PickleError("a reference to an array is not one that torch.save writes")
        kind, storage_type, key, _, count = reference
        if kind != "storage" or not isinstance(storage_type, _StorageType):
            raise PickleError(f"it refers to a {show(kind)}, which is not known here")
        if not isinstance(key, str) or type(count) is not int:
            raise PickleError(f"a reference to array {show(key)} of {show(count)} numbers")
        known = self._storages.get((key, storage_type.dtype))
        if known is None:
            data = self._read(f"{self._folder}data/{key}")
            self._stored_bytes += len(data)
            _check_size(self._stored_bytes, self._file)
            if len(data) != count * storage_type.dtype.itemsize:
                raise PickleError(
                    f"array {show(key)} has {len(data)} bytes, not those of {show(count)} "
                    f"{storage_type.dtype} numbers"
                )
            known = _Storage(np.frombuffer(data, storage_type.dtype))
            self._storages[key, storage_type.dtype] = known
        return known

    def _tensor(
        self, storage: object, offset: object, shape: object, strides: object, *_: object
    ) -> _Tensor:
        """Stand for ``torch._utils._rebuild_tensor_v2``."""
        # Anything else, such as an already rebuilt tensor, counts its elements differently.
        if type(storage) is not _Storage:
            raise PickleError(f"a tensor is made of {type(storage).__name__}, not of a storage")
        tensor = _Tensor(_rebuild_tensor(storage.numbers, offset, shape, strides))
        self._tensor_bytes += tensor.array.nbytes
        _check_size(self._tensor_bytes, self._file)
        return tensor

    def _read(self, name: str) -> bytes:
        member = self._members.get(name)
        if member is None:
            raise PickleError(f"{shorten_path(name)} is missing in it")
        # torch.save never compresses; a tiny file could otherwise unpack to fill the memory.
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise PickleError(f"{shorten_path(name)} is compressed, which torch.save does not do")
        return self._archive.read(member)


def _rebuild_tensor(numbers: np.ndarray, offset: Any, shape: Any, strides: Any) -> np.ndarray:
    """Return a tensor as a view of its storage; raise an error if it exceeds the storage."""
    sizes = (offset, *shape, *strides) if _are_tuples(shape, strides) else (None,)
    if not all(type(size) is int for size in sizes):
        raise PickleError("a tensor's shape and strides are not whole numbers")
    size = math.prod(shape)
    if size == 0 and min(sizes) >= 0:
        return np.zeros(shape, numbers.dtype)
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if min(sizes) < 0 or last >= numbers.size or size > numbers.size:
        raise PickleError(
            f"a tensor of shape {show(shape)} and strides {show(strides)} at {show(offset)} does "
            f"not lie within its {numbers.size} numbers"
        )
    steps = [stride * numbers.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(numbers[offset:], shape, steps, writeable=False)


def _are_tuples(*values: object) -> bool:
    return all(isinstance(value, tuple) for value in values)


def _parameter(tensor: object, *_: object) -> _Tensor:
    """Stand for ``torch._utils._rebuild_parameter``."""
    if type(tensor) is not _Tensor:
        raise PickleError(f"a parameter is made of {type(tensor).__name__}, not of a tensor")
    return tensor


def _size(*values: object) -> tuple[object, ...]:
    """Stand for ``torch.Size``."""
    if len(values) != 1 or not isinstance(values[0], tuple | list):
        raise PickleError("a torch.Size is made of no list of numbers")
    return tuple(values[0])


def _ordered(*values: object) -> _Ordered:
    """Stand for ``collections.OrderedDict``, empty or of a list of pairs."""
    pairs = values[0] if len(values) == 1 else []
    if len(values) > 1 or not isinstance(pairs, list):
        raise PickleError("an OrderedDict is made of no list of pairs")
    return _Ordered((hashable_key(key), value) for key, value in pairs)

"""Reading npz members: those that describe the signal, and long signals in place."""

import math
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError, name_file_in_errors
from physio_mae_jax.data.formats.memory import check_memory
from physio_mae_jax.errors import DataError

# Enough for labels of a million records in a hundred classes, and texts of a thousand characters.
_MAX_VALUES = 10**8
_LONGEST_VALUE = 4096
_SHOWN = 12
# Smaller signals are faster from memory, where many of them fit.
_IN_PLACE_BYTES = 64 * 2**20
_LOCAL_HEADER_BYTES = 30
_BLOCK_BYTES = 2**20
NPZ_EXPECTED = "an archive written by numpy.savez"
# Raised by numpy, zipfile and zlib on broken files, also if warnings are errors; RuntimeError
# is raised for encrypted archives.
NPZ_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    SyntaxError,
    OverflowError,
    MemoryError,
    RuntimeError,
    Warning,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_member(path: Path, name: str, where: str, max_values: int = _MAX_VALUES) -> np.ndarray:
    """Read one member of an npz completely.

    Args:
        path: Path of the archive.
        name: Member name.
        where: Source of the request, for messages.
        max_values: Maximum number of values.

    Returns:
        The array; bytes are decoded to text.

    Raises:
        UnreadableError: the archive is broken.
        DataError: there is no such member, it is an object array, or is larger.
    """
    with name_file_in_errors(path, NPZ_EXPECTED, NPZ_ERRORS), zipfile.ZipFile(path) as archive:
        names = [member.removesuffix(".npy") for member in archive.namelist()]
        if name not in names:
            raise DataError(f"{where}: {path} has no member {name!r}; it has {abbreviate(names)}.")
        return member_values(archive, name, max_values)


def abbreviate(names: Sequence[str]) -> str:
    """Format member names as text, abbreviated after the first few."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "none") + more


def member_values(archive: zipfile.ZipFile, name: str, max_values: int = _MAX_VALUES) -> np.ndarray:
    """Read a member of an open archive; bytes are decoded to text.

    Args:
        archive: Open archive that contains the member.
        name: Member name.
        max_values: Maximum number of values; a larger member is not unpacked.

    Raises:
        DataError: it is an object array, broken, or larger than ``max_values``.
    """
    _check_size(archive, name, max_values)
    with archive.open(f"{name}.npy") as file:
        try:
            values = np.lib.format.read_array(file, allow_pickle=False)
        except ValueError as error:
            raise DataError(
                f"{archive.filename}, member {name!r}: {error}. Write it as numbers, or as text "
                "with '' for missing values, such as "
                "numpy.array(['' if v is None or v != v else str(v) for v in values])."
            ) from error
    if values.dtype.kind == "S":
        return _decode_bytes(values)
    if values.dtype.kind == "U" and not _is_text(values):
        raise UnreadableError(
            f"{archive.filename}, member {name!r} is broken: it contains invalid Unicode code "
            "points. Write or copy the file again."
        )
    return values


def _check_size(archive: zipfile.ZipFile, name: str, max_values: int) -> None:
    """Reject an implausibly large member from its header."""
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as file:
        shape, dtype = read_array_header(file)
    where = f"{archive.filename}, member {name!r}"
    if math.prod(shape) > max_values or dtype.itemsize > _LONGEST_VALUE:
        raise DataError(
            f"{where} is an array of {shape} {dtype.str}; it must have at most {max_values:,} "
            f"values of at most {_LONGEST_VALUE:,} bytes. Correct it, or name "
            "another member in the manifest."
        )
    check_memory(where, info.file_size, info.compress_size)


def read_array_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Read shape and type in the header of an npy file.

    Raises:
        ValueError: it is not an npy file, or has an unsupported version.
    """
    shape, _, dtype = _read_full_header(file)
    return shape, dtype


def _read_full_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read shape, whether the order is that of Fortran, and type; see ``read_array_header``."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise ValueError(f"npy format version {version}")


def is_in_place(info: zipfile.ZipInfo) -> bool:
    """Return whether a member is read in place.

    It is long and not compressed (written by ``numpy.savez``).
    """
    is_stored = info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1
    return is_stored and info.compress_size == info.file_size >= _IN_PLACE_BYTES


def check_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """Read a member once, block by block; raise BadZipFile if its checksum differs."""
    with archive.open(info) as file:
        while file.read(_BLOCK_BYTES):
            pass


def map_member(path: Path, name: str) -> np.memmap:
    """Map a member that is read in place; opened for each read, as the file may be replaced.

    Raises:
        ValueError, KeyError, OSError, zipfile.BadZipFile: the archive is broken.
    """
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"{name}.npy")
        if not is_in_place(info):
            raise ValueError(f"member {name!r} changed")
    with path.open("rb") as file:
        file.seek(info.header_offset)
        header = file.read(_LOCAL_HEADER_BYTES)
        # The lengths of the name and of the extra field, which differ from those of the directory.
        lengths = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
        file.seek(sum(lengths), 1)
        begin = file.tell()
        shape, in_columns, dtype = _read_full_header(file)
        offset = file.tell()
    if offset + math.prod(shape) * dtype.itemsize != begin + info.file_size:
        raise ValueError(f"member {name!r} has another size than its header states")
    return np.memmap(path, dtype, "r", offset, shape, "F" if in_columns else "C")


def _decode_bytes(values: np.ndarray) -> np.ndarray:
    """Decode bytes as UTF-8, else as Latin-1."""
    try:
        return np.char.decode(values, "utf-8")
    except UnicodeDecodeError:
        return np.char.decode(values, "latin-1")


def _is_text(values: np.ndarray) -> bool:
    """Return whether every code point is a valid character; numpy does not check this."""
    if values.size == 0 or values.dtype.itemsize == 0:
        return True
    code_dtype = np.dtype(np.uint32).newbyteorder(values.dtype.byteorder)
    codes = np.ascontiguousarray(values.reshape(-1)).view(code_dtype)
    surrogates = (codes >= 0xD800) & (codes <= 0xDFFF)
    return not bool(((codes > 0x10FFFF) | surrogates).any())

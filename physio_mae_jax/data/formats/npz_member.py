"""Reading members of an npz that say something of its signal: names, ids, labels, ages."""

import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.layout import UnreadableError, naming
from physio_mae_jax.errors import DataError

NPZ_EXPECTED = "an archive written by numpy.savez"
# What numpy, zipfile and zlib raise on broken files, also where warnings are errors; RuntimeError
# is an encrypted archive.
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


def read_member(path: Path, name: str, where: str) -> np.ndarray:
    """Read one member of an npz whole.

    Args:
        path: the archive.
        name: of the member.
        where: who asks for it, for messages.

    Returns:
        The array; bytes are decoded to text.

    Raises:
        UnreadableError: the archive is broken.
        DataError: there is no such member, or it is an array of objects.
    """
    with naming(path, NPZ_EXPECTED, NPZ_ERRORS), zipfile.ZipFile(path) as archive:
        names = [member.removesuffix(".npy") for member in archive.namelist()]
        if name not in names:
            raise DataError(
                f"{where}: {path} has no member {name!r}; it has {', '.join(names) or 'none'}."
            )
        return member_values(archive, name)


def member_values(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Read a member of an open archive; bytes are decoded to text.

    Raises:
        DataError: it is an array of objects, or broken.
    """
    with archive.open(f"{name}.npy") as file:
        try:
            values = np.lib.format.read_array(file, allow_pickle=False)
        except ValueError as error:
            raise DataError(
                f"{archive.filename}, member {name!r}: {error}. Write it as numbers, or as text "
                "with '' where there is no value, such as "
                "numpy.array(['' if v is None or v != v else str(v) for v in values])."
            ) from error
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8")
    if values.dtype.kind == "U" and not _is_text(values):
        raise UnreadableError(
            f"{archive.filename}, member {name!r} is broken: it holds characters that do not "
            "exist. Write or copy the file again."
        )
    return values


def _is_text(values: np.ndarray) -> bool:
    """Tell whether every code point is a character: numpy takes any number for one."""
    if values.size == 0 or values.dtype.itemsize == 0:
        return True
    number = np.dtype(np.uint32).newbyteorder(values.dtype.byteorder)
    codes = np.ascontiguousarray(values.reshape(-1)).view(number)
    surrogates = (codes >= 0xD800) & (codes <= 0xDFFF)
    return not bool(((codes > 0x10FFFF) | surrogates).any())

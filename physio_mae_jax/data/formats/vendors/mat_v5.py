"""MATLAB files of version 5 to 7 (``save -v6``, ``-v7``)."""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.file_facts import (
    FileFacts,
    FileRecords,
    UnreadableError,
    name_file_in_errors,
)
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.data.formats.memory import check_memory
from physio_mae_jax.data.formats.reader import Reader, read_loaded
from physio_mae_jax.data.formats.vendors.mat_elements import (
    HEADER_BYTES,
    read_numbers,
    read_texts,
    read_variables,
)
from physio_mae_jax.data.formats.vendors.mat_structs import read_structs
from physio_mae_jax.data.formats.vendors.mat_variables import (
    Content,
    Variable,
    describe,
    squeezed,
)
from physio_mae_jax.data.formats.vendors.vendor_format import Head, VendorFormat
from physio_mae_jax.data.regular_file import open_regular
from physio_mae_jax.errors import DataError

_NAME = "MATLAB v5"
_EXPECTED = "variables as MATLAB saves them (-v6 or -v7)"
_ERRORS = (OSError, ValueError, MemoryError, OverflowError, struct.error, zlib.error)
_BYTES_PER_SAMPLE = 8
_MAGIC, _MAGIC_73 = b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file"


def _is_v5(head: Head) -> bool:
    # Beside a WFDB header, the file has the samples of that record.
    if head.path.with_suffix(".hea").exists():
        return False
    return head.data.startswith(_MAGIC) and head.data[126:128] in (b"IM", b"MI")


def _probe(path: Path, entry: ManifestEntry) -> FileFacts:
    """Describe a MATLAB file, see ``mat_variables``.

    Raises:
        UnreadableError: the file is broken.
        DataError: it has no signal, or one that is too large.
    """
    with name_file_in_errors(path, _EXPECTED, _ERRORS):
        found, order = read_variables(path)
        variables = {
            name: Variable(v.shape, "text" if v.kind in ("char", "cell") else v.kind)
            for name, v in found.items()
        }
        content = Content(
            variables,
            number=lambda name: float(read_numbers(path, found[name], order).ravel()[0]),
            texts=lambda name: read_texts(path, found[name], order),
        )
        facts = describe(path, entry, content, _NAME)
        if facts.member is not None:
            signal = found[facts.member]
            num_bytes = _BYTES_PER_SAMPLE * variables[facts.member].size
            check_memory(f"{path}, variable {facts.member!r}", num_bytes, signal.length)
        return facts


def _load(records: FileRecords) -> np.ndarray:
    with name_file_in_errors(records.path, _EXPECTED, _ERRORS):
        found, order = read_variables(records.path)
        if records.member not in found or found[records.member].kind != "numeric":
            raise UnreadableError(
                f"{records.path} changed: variable {records.member!r} is not an array of numbers."
            )
        values = read_numbers(records.path, found[records.member], order)
        return values.reshape(squeezed(values.shape))


def read_arrays(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """Return arrays of numbers by their names, in MATLAB's shape and the type as stored.

    Raises:
        UnreadableError: the file is broken or of another format, or a variable is absent or of
            another class.
        DataError: the file is of version 7.3, or does not fit into memory.
    """
    _check_version(path)
    with name_file_in_errors(path, f"arrays of numbers {' and '.join(names)}", _ERRORS):
        found, order = read_variables(path)
        for name in names:
            if name not in found or found[name].kind != "numeric":
                kind = f"a {found[name].kind}" if name in found else "absent"
                raise ValueError(f"variable {name!r} is {kind}")
        return [read_numbers(path, found[name], order) for name in names]


def read_struct_array(path: Path, name: str) -> list[dict[str, object]]:
    """Return the elements of a struct array, see ``mat_structs.read_structs``.

    Raises:
        UnreadableError: the file is broken or of another format, or has no such struct array.
        DataError: the file is of version 7.3, or does not fit into memory.
    """
    _check_version(path)
    with name_file_in_errors(path, f"a struct array {name!r}", _ERRORS):
        found, order = read_variables(path)
        if name not in found or found[name].kind != "struct":
            raise ValueError(f"it has no struct array {name!r}")
        return read_structs(path, found[name], order)


def _check_version(path: Path) -> None:
    with open_regular(path, "copy it again, or exclude it.") as file:
        head = file.read(HEADER_BYTES)
    if head.startswith(_MAGIC_73):
        raise DataError(
            f"{path} is a MATLAB 7.3 file (HDF5); versions 5 to 7 are expected. Use the published "
            "file, or save it in MATLAB with save(..., '-v7')."
        )
    if not head.startswith(_MAGIC) or len(head) < HEADER_BYTES:
        raise UnreadableError(
            f"{path} is not a MATLAB file of version 5 to 7: it begins with {head[:20]!r}. Copy it "
            "again, or save it in MATLAB with save(..., '-v7')."
        )


MAT_V5 = VendorFormat(_NAME, (".mat",), _is_v5, Reader(_probe, _load, read_loaded))

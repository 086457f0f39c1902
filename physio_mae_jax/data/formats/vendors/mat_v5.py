"""MATLAB files of version 5 to 7 (``save -v6``, ``-v7``), by scipy, within bounds.

Format: MathWorks, "MAT-File Format". Before scipy reads a variable, every element of the file is
unpacked once without being kept, so that none expands to more than its file may hold; only the
variables that are wanted are read. Objects and functions of MATLAB are never made.
"""

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from physio_mae_jax.data.formats.file_facts import (
    FileFacts,
    FileRecords,
    UnreadableError,
    naming,
)
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.data.formats.memory import check_memory
from physio_mae_jax.data.formats.reader import Reader, read_loaded
from physio_mae_jax.data.formats.vendors.mat_variables import (
    Content,
    Variable,
    as_numbers,
    describe,
    squeezed,
)
from physio_mae_jax.data.formats.vendors.vendor_format import Head, VendorFormat
from physio_mae_jax.data.regular_file import open_regular

_NAME = "MATLAB v5"
_EXPECTED = "variables as MATLAB saves them (-v6 or -v7)"
_AGAIN = "copy it again, or exclude it from the folder or manifest."
# scipy raises any of these on broken files.
_ERRORS = (
    *(OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, MemoryError),
    *(struct.error, zlib.error, EOFError, OverflowError, NotImplementedError, RecursionError),
)
_HEADER_BYTES = 128
_COMPRESSED = 15
_PIECE_BYTES = 2**20
_MAX_ELEMENTS = 10_000
_MAX_TEXTS = 4096
_NUMERIC = frozenset(
    {"double", "single", "logical"} | {f"{s}int{n}" for s in ("", "u") for n in (8, 16, 32, 64)}
)


def _is_v5(head: Head) -> bool:
    # Beside a header of WFDB it holds the samples of that record.
    if head.path.with_suffix(".hea").exists():
        return False
    return head.data.startswith(b"MATLAB 5.0 MAT-file") and head.data[126:128] in (b"IM", b"MI")


def _check_elements(path: Path) -> None:
    """Unpack every element without keeping it.

    Raises:
        UnreadableError: the file is cut short, or an element does not unpack.
        DataError: an element expands without bound.
    """
    size = path.stat().st_size
    with open_regular(path, _AGAIN) as file:
        header = file.read(_HEADER_BYTES)
        order = "<" if header[126:128] == b"IM" else ">"
        for _ in range(_MAX_ELEMENTS):
            begin = file.tell()
            tag = file.read(8)
            if not tag:
                return
            if len(tag) < 8:
                raise UnreadableError(f"{path} is cut short at byte {begin}; {_AGAIN}")
            kind, length = struct.unpack(f"{order}II", tag)
            if length > size - begin - 8:
                raise UnreadableError(
                    f"{path} is cut short: the variable at byte {begin} takes {length} bytes, "
                    f"{size - begin - 8} follow; {_AGAIN}"
                )
            if kind == _COMPRESSED:
                _check_unpacked(path, file, length)
            file.seek(begin + 8 + length)
    raise UnreadableError(f"{path} has more than {_MAX_ELEMENTS} variables; {_AGAIN}")


def _check_unpacked(path: Path, file: Any, length: int) -> None:
    """Unpack a compressed element of ``length`` bytes, a piece at a time."""
    unpacker = zlib.decompressobj()
    left, total, data = length, 0, b""
    while not unpacker.eof and (data or left):
        if not data:
            data = file.read(min(left, _PIECE_BYTES))
            left -= len(data)
        total += len(unpacker.decompress(data, _PIECE_BYTES))
        data = unpacker.unconsumed_tail
        check_memory(f"{path}, a variable", total, length)
    if not unpacker.eof:
        raise UnreadableError(f"{path}: a variable ends before its data do; {_AGAIN}")


def _variables(path: Path) -> Mapping[str, Variable]:
    from scipy import io

    found = {}
    for name, shape, kind in io.whosmat(str(path)):
        plain = "numeric" if kind in _NUMERIC else "text" if kind in ("char", "cell") else kind
        found[name] = Variable(tuple(int(length) for length in shape), plain)
    return found


def _load_variable(path: Path, name: str) -> Any:
    from scipy import io

    return io.loadmat(str(path), variable_names=[name], chars_as_strings=True)[name]


def _texts(path: Path, name: str, variable: Variable) -> tuple[str, ...]:
    """Read a char matrix or a cell array of texts; nothing else is taken for names."""
    if variable.size > _MAX_TEXTS * 64:
        return ()
    values = np.asarray(_load_variable(path, name)).ravel()[:_MAX_TEXTS]
    texts = []
    for value in values:
        inner = value.ravel() if isinstance(value, np.ndarray) else np.asarray([value])
        if len(inner) > 1 or (len(inner) == 1 and inner.dtype.kind not in "US"):
            return ()
        texts.append(str(inner[0]).strip() if len(inner) else "")
    return tuple(texts)


def _probe(path: Path, entry: ManifestEntry) -> FileFacts:
    """Describe a MATLAB file, see ``mat_variables``.

    Raises:
        UnreadableError: the file is broken.
        DataError: it has no signal, or one that is too large.
    """
    with naming(path, _EXPECTED, _ERRORS):
        _check_elements(path)
        variables = _variables(path)
        content = Content(
            variables,
            number=lambda name: float(np.asarray(_load_variable(path, name)).ravel()[0]),
            texts=lambda name: _texts(path, name, variables[name]),
        )
        facts = describe(path, entry, content, _NAME)
        if facts.member is not None:
            where = f"{path}, variable {facts.member!r}"
            check_memory(where, 8 * variables[facts.member].size, path.stat().st_size)
        return facts


def _load(records: FileRecords) -> np.ndarray:
    assert records.member is not None
    with naming(records.path, _EXPECTED, _ERRORS):
        _check_elements(records.path)
        where = f"{records.path}, variable {records.member!r}"
        values = as_numbers(_load_variable(records.path, records.member), where)
        return values.reshape(squeezed(values.shape))


MAT_V5 = VendorFormat(_NAME, (".mat",), _is_v5, Reader(_probe, _load, read_loaded))

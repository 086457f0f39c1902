"""MATLAB files of version 5 to 7 (``save -v6``, ``-v7``)."""

import struct
import zlib
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
    read_numbers,
    read_texts,
    read_variables,
)
from physio_mae_jax.data.formats.vendors.mat_variables import (
    Content,
    Variable,
    describe,
    squeezed,
)
from physio_mae_jax.data.formats.vendors.vendor_format import Head, VendorFormat

_NAME = "MATLAB v5"
_EXPECTED = "variables as MATLAB saves them (-v6 or -v7)"
_ERRORS = (OSError, ValueError, MemoryError, OverflowError, struct.error, zlib.error)
_BYTES_PER_SAMPLE = 8


def _is_v5(head: Head) -> bool:
    # Beside a header of WFDB it holds the samples of that record.
    if head.path.with_suffix(".hea").exists():
        return False
    return head.data.startswith(b"MATLAB 5.0 MAT-file") and head.data[126:128] in (b"IM", b"MI")


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
                f"{records.path} changed: variable {records.member!r} is no array of numbers now."
            )
        values = read_numbers(records.path, found[records.member], order)
        return values.reshape(squeezed(values.shape))


MAT_V5 = VendorFormat(_NAME, (".mat",), _is_v5, Reader(_probe, _load, read_loaded))

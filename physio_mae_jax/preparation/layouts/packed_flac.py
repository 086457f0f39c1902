"""Recordings packed into one FLAC file of 16-bit integers, beside an ``.npz`` that describes them.

The file has one channel with the values of all recordings, one after another. Its sampling rate has
no meaning. Copies of several public data sets have this form, which takes a third of the space.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError, name_file_in_errors
from physio_mae_jax.data.formats.memory import check_memory
from physio_mae_jax.data.formats.wfdb_samples import SignalFile, count_stored_frames, read_frames
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.npz_arrays import load_npz
from physio_mae_jax.preparation.recording import require_file

_FLAC_16 = 516  # of WFDB: FLAC of at most 16 bits
_EXPECTED = "FLAC of 16-bit integers in one channel"
_ERRORS = (OSError, ValueError, RuntimeError)


def packed_table(path: Path, members: Sequence[str], what: str) -> Mapping[str, np.ndarray]:
    """Load the ``.npz`` that describes packed recordings.

    Args:
        path: Path of the file.
        members: Names of the members that are needed.
        what: Expected content, for the message if the file is missing.

    Raises:
        DataError: the file or a member is missing.
        UnreadableError: the file is damaged.
    """
    arrays = load_npz(path, what)
    missing = [name for name in members if name not in arrays]
    if missing:
        raise DataError(
            f"{path} lacks the members {', '.join(missing)}; it has {', '.join(arrays)}. Copy the "
            "file again from its source."
        )
    return arrays


def check_rows(path: Path, arrays: Mapping[str, np.ndarray], names: Sequence[str]) -> int:
    """Return the number of rows that the named members have in common.

    Raises:
        UnreadableError: they differ.
    """
    rows = {name: len(arrays[name]) if arrays[name].ndim else 0 for name in names}
    if len(set(rows.values())) != 1:
        found = ", ".join(f"{name} {count}" for name, count in rows.items())
        raise UnreadableError(
            f"{path}: the members differ in their number of rows ({found}); one row per recording "
            "is expected in each. Copy the file again."
        )
    return rows[names[0]]


def check_length(path: Path, num_values: int) -> None:
    """Compare the length that the header of a FLAC file states with that of its recordings.

    Raises:
        DataError: the file is missing.
        UnreadableError: it is not a FLAC file, or its length is different.
    """
    require_file(path, _EXPECTED)
    with name_file_in_errors(path, _EXPECTED, _ERRORS):
        found = count_stored_frames(_signal_file(path))
    if found != num_values:
        raise UnreadableError(
            f"{path} has {found:,} values; the .npz beside it describes {num_values:,}. Copy both "
            "files again."
        )


def read_values(path: Path, start: int, stop: int) -> np.ndarray:
    """Return values [start, stop) as int16, cached for the last file.

    Raises:
        DataError: the file is missing or too large for the memory.
        UnreadableError: it is damaged or ends before ``stop``.
    """
    status = require_file(path, _EXPECTED).stat()
    values = _load(path, status.st_mtime_ns, status.st_size)
    if stop > len(values):
        raise UnreadableError(
            f"{path} has {len(values):,} values; {stop:,} are needed. Copy it again."
        )
    return values[start:stop]


def read_row(path: Path, row: int, shape: Sequence[int]) -> np.ndarray:
    """Return recording ``row`` of packed recordings of one size as int16 [*shape].

    Raises:
        DataError, UnreadableError: see ``read_values``.
    """
    size = math.prod(shape)
    return read_values(path, row * size, (row + 1) * size).reshape(tuple(shape))


@functools.lru_cache(maxsize=1)
def _load(path: Path, changed_ns: int, size: int) -> np.ndarray:
    """Decode a complete file, since seeking in FLAC is as slow as decoding many recordings."""
    with name_file_in_errors(path, _EXPECTED, _ERRORS):
        file = _signal_file(path)
        num_values = count_stored_frames(file)
        check_memory(str(path), 2 * num_values, size)
        values = read_frames(file, 0, num_values)[:, 0]
    values.flags.writeable = False
    return values


def _signal_file(path: Path) -> SignalFile:
    return SignalFile(path=path, format=_FLAC_16, samples_per_frame=(1,), initial_values=(0,))

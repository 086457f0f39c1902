"""What a reader of a format is, and cutting segments from arrays that are loaded.

A reader has up to four parts. ``probe`` reads the facts of a file, without its samples where
the format allows it. ``load`` returns the whole stored array of a format that has to be read as a
whole; it is None for a format that is read in place. ``read`` takes one segment from a file, given
what ``load`` returned. ``load_part`` returns one part of the stored array, of a format whose parts
can be read without the others; ``read`` then takes None.
"""

import bisect
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from physio_mae_jax.data.formats.file_facts import (
    FileFacts,
    FileRecords,
    UnreadableError,
    slice_record,
)
from physio_mae_jax.data.formats.manifest import ManifestEntry


class Reader(NamedTuple):
    """How a format is probed, loaded and read."""

    probe: Callable[[Path, ManifestEntry], FileFacts]
    load: Callable[[FileRecords], np.ndarray] | None
    read: Callable[[FileRecords, np.ndarray | None, int, int, int], np.ndarray]
    load_part: Callable[[FileRecords, int], np.ndarray] | None = None


def read_loaded(
    records: FileRecords, loaded: np.ndarray | None, record: int, start: int, stop: int
) -> np.ndarray:
    """Take samples [start, stop) of a record from a loaded array, float32 [M, stop - start].

    Raises:
        UnreadableError: the file changed since it was opened.
    """
    assert loaded is not None
    check_unchanged(records, loaded.shape)
    return _cut(records, loaded, record, start, stop)


def read_parts(
    records: FileRecords, load_part: Callable[[int], np.ndarray], start: int, stop: int
) -> np.ndarray:
    """Take samples [start, stop) from the parts that contain them, float32 [M, stop - start].

    Args:
        records: File of one recording, with the ends of its parts.
        load_part: Returns part i of the stored array.
        start: First sample.
        stop: One past the last sample.
    """
    ends, pieces = records.part_ends, [np.zeros((len(records.columns), 0), np.float32)]
    for part in range(bisect.bisect_right(ends, start), len(ends)):
        begin = ends[part - 1] if part else 0
        if begin >= stop:
            break
        array = load_part(part)
        pieces.append(_cut(records, array, 0, max(start - begin, 0), stop - begin))
    return pieces[1] if len(pieces) == 2 else np.concatenate(pieces, axis=1)


def _cut(records: FileRecords, array: np.ndarray, record: int, start: int, stop: int) -> np.ndarray:
    signal = slice_record(array, records.axes, record, start, stop)
    if records.columns == tuple(range(len(signal))):
        return signal
    return signal[list(records.columns)]


def check_unchanged(records: FileRecords, shape: tuple[int, ...]) -> None:
    """Reject a file whose stored array has another shape than when it was opened."""
    if shape != records.shape:
        raise UnreadableError(
            f"{records.path} changed: its array had shape {records.shape} when it was opened and "
            f"has {shape} now."
        )

"""What a reader of a format is, and cutting segments from arrays that are loaded as a whole.

A reader has three parts. ``probe`` reads the facts of a file, without its samples where
the format allows it. ``load`` returns the whole stored array of a format that has to be read as a
whole; it is None for a format that is read in place. ``read`` takes one segment from a file, given
what ``load`` returned.
"""

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


def read_loaded(
    records: FileRecords, loaded: np.ndarray | None, record: int, start: int, stop: int
) -> np.ndarray:
    """Take samples [start, stop) of a record from a loaded array, float32 [M, stop - start].

    Raises:
        UnreadableError: the file changed since it was opened.
    """
    assert loaded is not None
    check_unchanged(records, loaded.shape)
    signal = slice_record(loaded, records.axes, record, start, stop)
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

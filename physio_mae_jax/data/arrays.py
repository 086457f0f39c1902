"""Recordings that are arrays in memory, or mapped from a file, as a ``SignalSource``."""

from collections.abc import Sequence

import numpy as np

from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.signals.float32_range import as_float, remove_large_offset
from physio_mae_jax.signals.quality import find_runs

# 1 MiB of float32 per read, so that memory-mapped files may exceed the memory.
_VALUES_PER_READ = 2**18


class ArrayRecordings:
    """Recordings in memory as arrays [M, n]; a ``SignalSource``."""

    def __init__(
        self,
        arrays: Sequence[np.ndarray],
        infos: Sequence[RecordingInfo],
        gains: Sequence[np.ndarray | None],
        absent: Sequence[Sequence[int]],
    ) -> None:
        """Wrap arrays.

        Args:
            arrays: Samples [M, n] of each recording, of any numeric type; never modified, and never
                copied completely.
            infos: Metadata of each recording.
            gains: Divisors [M] of the samples of each recording; None for none.
            absent: Rows of each recording that contain no values, which are read as zero.
        """
        self._arrays = tuple(arrays)
        self._recordings = tuple(infos)
        self._gains = tuple(gains)
        self._absent = tuple(list(rows) for rows in absent)

    @property
    def recordings(self) -> Sequence[RecordingInfo]:
        """Metadata of every recording; index i is index i of ``read``."""
        return self._recordings

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        """Return samples [start, stop) of recording ``index``, see ``SignalSource``.

        Rows whose magnitude or offset float32 cannot represent are float64.
        """
        self._recordings[index].reject_outside(start, stop)
        samples = self._arrays[index][:, start:stop]
        return physical_values(samples, self._gains[index], self._absent[index])


def physical_values(
    samples: np.ndarray, gain: np.ndarray | None, absent: Sequence[int]
) -> np.ndarray:
    """Convert samples [M, n] as given to float32, or to float64 where float32 does not suffice.

    Args:
        samples: Samples [M, n] of any numeric type; not modified.
        gain: Divisors [M]; None for none.
        absent: Rows without values, which become zero.
    """
    if gain is not None:
        with np.errstate(over="ignore"):  # infinite values are rejected later
            samples = remove_large_offset(samples) / gain[:, None]
    if absent:
        samples = samples.astype(np.result_type(samples, np.float32))
        samples[list(absent)] = 0.0
    return as_float(samples)


def find_gaps(array: np.ndarray) -> tuple[tuple[int, int, int], ...]:
    """Find (row, start, stop) of non-finite segments in [M, n]; long segments may be split."""
    if array.dtype.kind != "f":
        return ()
    step = max(1, _VALUES_PER_READ // max(1, len(array)))
    found: list[tuple[int, int, int]] = []
    for begin in range(0, array.shape[1], step):
        missing = ~np.isfinite(array[:, begin : begin + step])
        for row in np.flatnonzero(missing.any(axis=1)).tolist():
            found += [(row, begin + a, begin + b) for a, b in find_runs(missing[row])]
    return tuple(found)


def absent_rows(gaps: Sequence[tuple[int, int, int]], num_samples: int) -> list[int]:
    """Return the rows that consist of gaps only."""
    missing: dict[int, int] = {}
    for row, start, stop in gaps:
        missing[row] = missing.get(row, 0) + stop - start
    return [row for row, count in missing.items() if count == num_samples]

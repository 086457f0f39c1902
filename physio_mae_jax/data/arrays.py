"""Recordings that are arrays in memory, or mapped from a file, as a ``SignalSource``."""

from collections.abc import Sequence

import numpy as np

from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.signals.levels import as_float, without_large_offset
from physio_mae_jax.signals.quality import runs_of

# 1 MiB of float32 at a time, so that a mapped file of days does not have to fit in memory.
_VALUES_A_READ = 2**18


class ArrayRecordings:
    """Recordings given as arrays [M, n]; a ``SignalSource``."""

    def __init__(
        self,
        arrays: Sequence[np.ndarray],
        infos: Sequence[RecordingInfo],
        gains: Sequence[np.ndarray | None],
        absent: Sequence[Sequence[int]],
    ) -> None:
        """Describe arrays.

        Args:
            arrays: [M, n] of each recording, numbers of any type; never changed or copied whole.
            infos: of the same shapes.
            gains: [M] that the samples of each recording are divided by; None for none.
            absent: rows of each recording without any value, which read as zero.
        """
        self._arrays = tuple(arrays)
        self._recordings = tuple(infos)
        self._gains = tuple(gains)
        self._absent = tuple(list(rows) for rows in absent)

    @property
    def recordings(self) -> Sequence[RecordingInfo]:
        """Describe every recording; index i here is index i of ``read``."""
        return self._recordings

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        """Return samples [start, stop) of recording ``index``, see ``SignalSource``.

        Rows whose magnitude or offset float32 cannot hold are float64.
        """
        self._recordings[index].refuse_outside(start, stop)
        samples, gain = self._arrays[index][:, start:stop], self._gains[index]
        if gain is not None:
            with np.errstate(over="ignore"):  # infinite, and refused as such
                samples = without_large_offset(samples) / gain[:, None]
        if self._absent[index]:
            samples = samples.astype(np.result_type(samples, np.float32))
            samples[self._absent[index]] = 0.0
        return as_float(samples)


def gaps_of(array: np.ndarray) -> tuple[tuple[int, int, int], ...]:
    """Find (row, start, stop) of stretches of [M, n] that are not finite, cut where it is long."""
    if array.dtype.kind != "f":
        return ()
    step = max(1, _VALUES_A_READ // max(1, len(array)))
    found: list[tuple[int, int, int]] = []
    for begin in range(0, array.shape[1], step):
        missing = ~np.isfinite(array[:, begin : begin + step])
        for row in np.flatnonzero(missing.any(axis=1)).tolist():
            found += [(row, begin + a, begin + b) for a, b in runs_of(missing[row])]
    return tuple(found)


def absent_rows(gaps: Sequence[tuple[int, int, int]], num_samples: int) -> list[int]:
    """Return the rows of which ``gaps_of`` leaves nothing."""
    missing: dict[int, int] = {}
    for row, start, stop in gaps:
        missing[row] = missing.get(row, 0) + stop - start
    return [row for row, count in missing.items() if count == num_samples]

"""Windows around events, or within intervals of one state, that lie in gap-free signal."""

import logging
from collections.abc import Callable, Sequence

import numpy as np

from physio_mae_jax.data.labels import check_classes, common_classes, get_task
from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.window_starts import WindowStarts
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.types import JsonMapping

_LOG = logging.getLogger(__name__)
# From begin, end (samples), valid starts and window length to start, first and last start.
_FindWindows = Callable[[float, float, WindowStarts, int], list[tuple[int, int, int]]]


def annotation_windows(
    source: ConcatSource,
    reader: WindowReader,
    indices: Sequence[int],
    task: str,
    event_offset: float,
    window_stride: float,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """List the windows of the annotations of some recordings.

    Args:
        source: Joined prepared data sets.
        reader: Window reader of ``source``.
        indices: Recording indices in ``source``.
        task: Task of level 'event' or 'interval'.
        event_offset, window_stride: As in ``data.instances.LabelConfig``.

    Returns:
        Recording, start, first and last start for training, and class of each window [n, 5], and
        the class names [Y].

    Raises:
        DataError: Data sets have no such task, or other classes; or a label is no class.
    """
    windows: list[tuple[int, int, int, int, int]] = []
    num_excluded = 0
    descriptions: dict[int, JsonMapping] = {}
    for index in indices:
        origin, position = source.origin(index)
        assert isinstance(origin, PreparedSource)
        description = descriptions.setdefault(id(origin), get_task(origin, task))
        starts, info = reader.starts(index), source.recordings[index]
        scale = reader.config.sampling_rate_hz / info.sampling_rate_hz
        find = _finder(description["level"], event_offset, window_stride)
        for begin, end, label in origin.records[position].annotations.get(task, ()):
            found = find(begin * scale, end * scale, starts, reader.config.num_samples)
            num_excluded += not found
            windows += [(index, *window, label) for window in found]
    if num_excluded:
        _LOG.info(
            "task %s: %d annotations are excluded: near an end or a gap, or shorter than a window",
            *(task, num_excluded),
        )
    names = common_classes(descriptions.values(), task)
    table = np.asarray(windows, np.int64).reshape(-1, 5)
    for recording, label in set(zip(table[:, 0].tolist(), table[:, 4].tolist(), strict=True)):
        check_classes([label], names, task, source, recording)
    return table, names


def _finder(level: str, event_offset: float, window_stride: float) -> _FindWindows:
    """Return the function that finds the windows of an annotation."""

    def from_event(
        begin: float, end: float, starts: WindowStarts, length: int
    ) -> list[tuple[int, int, int]]:
        """Return (start, start, start) of the window around an event, if it has no gap."""
        start = round(begin - event_offset * length)
        return [(start, start, start)] if starts.contains(start) else []

    def from_interval(
        begin: float, end: float, starts: WindowStarts, length: int
    ) -> list[tuple[int, int, int]]:
        """Return (start, first, last) of windows within an interval.

        Training windows may begin up to half a step earlier or later.
        """
        low, high = int(np.ceil(begin)), int(end) - length
        step = max(1, round(window_stride * length))
        windows = []
        for start in range(low, high + 1, step):
            first, last = max(low, start - step // 2), min(high, start + step // 2)
            if starts.contains(start) and starts.contains(first) and starts.contains(last):
                windows.append((start, first, last))
        return windows

    return from_event if level == "event" else from_interval

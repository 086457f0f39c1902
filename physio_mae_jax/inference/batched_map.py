"""Running a compiled function over any number of windows."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np


def stack_windows(
    windows: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Stack entries of windows (``data.windows.WindowReader.read``) on a leading axis."""
    return {name: np.stack([window[name] for window in windows]) for name in names}


def map_windows(
    function: Callable[[dict[str, np.ndarray]], Any],
    windows: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    batch_size: int,
) -> np.ndarray:
    """Apply a function of batches to windows, always with the same shape: compiled once.

    Args:
        function: from entries [B, …] to rows, one or more a window, in their order.
        windows: N of them.
        names: entries it is given.
        batch_size: B.

    Returns:
        [N, …] the rows of each window, [N, r, …] where there are r > 1 of a window.
    """
    parts = []
    for start in range(0, len(windows), batch_size):
        chunk = list(windows[start : start + batch_size])
        chunk += [chunk[-1]] * (batch_size - len(chunk))
        rows = np.asarray(function(stack_windows(chunk, names)))
        several = len(rows) > batch_size
        parts.append(rows.reshape(batch_size, -1, *rows.shape[1:]) if several else rows)
    return np.concatenate(parts)[: len(windows)]

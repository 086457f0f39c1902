"""Application of a compiled function to any number of windows."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike


def stack_windows(
    windows: Sequence[Mapping[str, ArrayLike]], names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Stack entries of windows (``data.windows.WindowReader.read``) on a leading axis."""
    return {name: np.stack([window[name] for window in windows]) for name in names}


def map_windows(
    function: Callable[[dict[str, np.ndarray]], object],
    windows: Sequence[Mapping[str, ArrayLike]],
    names: Sequence[str],
    batch_size: int,
) -> np.ndarray:
    """Apply a batch function to windows with a constant batch shape, so that it compiles once.

    Args:
        function: Maps entries [B, …] to rows, one or more per window, in window order.
        windows: Windows, N in all.
        names: Entries passed to the function.
        batch_size: Windows per batch (B); the last batch is padded.

    Returns:
        Rows of each window [n, …], or [n, r, …] if the function returns r > 1 rows per window.
    """
    parts = []
    for start in range(0, len(windows), batch_size):
        chunk = list(windows[start : start + batch_size])
        chunk += [chunk[-1]] * (batch_size - len(chunk))
        rows = np.asarray(function(stack_windows(chunk, names)))
        several = len(rows) > batch_size
        parts.append(rows.reshape(batch_size, -1, *rows.shape[1:]) if several else rows)
    return np.concatenate(parts)[: len(windows)]

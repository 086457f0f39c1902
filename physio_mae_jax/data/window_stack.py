"""A batch of windows made at once: the values of ``make_window``, in a fraction of the calls."""

import threading
from collections.abc import Sequence

import numpy as np

from physio_mae_jax.data.batch_memory import BatchMemory
from physio_mae_jax.data.window_transform import (
    Example,
    WindowSpec,
    derive_rows,
    derive_window,
)
from physio_mae_jax.signals.preprocess import (
    Resampler,
    resample,
    z_score,
    z_score_ordinary_rows,
)

# Samples normalized by one call: few enough for the processor's cache, so that only the first and
# the last step access the memory, and enough to make the calls themselves cheap.
_TILE_SAMPLES = 2**18


class _Scratch(threading.local):
    """Memory of a thread that all its batches use, since new memory has to be mapped and filled."""

    def __init__(self) -> None:
        self._memory = np.empty(0, np.float64)

    def get(self, shape: tuple[int, int, int]) -> np.ndarray:
        """Return an array with undefined values, valid until the next call of the thread."""
        size = shape[0] * shape[1] * shape[2]
        if len(self._memory) < size:
            self._memory = np.empty(size, np.float64)
        return self._memory[:size].reshape(shape)


_SCRATCH = _Scratch()


def make_windows(
    raw: Sequence[np.ndarray], specs: Sequence[WindowSpec], memory: BatchMemory | None = None
) -> Example:
    """Derive, resample, filter and normalize the channels of a batch of windows.

    Args:
        raw: Samples [m, last - first] of each window, float32 or float64.
        specs: Plan of each window; all of the same M and L.
        memory: Memory of 'signal'; None for new memory.

    Returns:
        Entries of ``window_transform.make_window`` with a leading axis, equal bit for bit.

    Raises:
        DataError: A value is not finite.
    """
    size, channels, samples = len(specs), specs[0].num_channels, specs[0].num_samples
    signal = (memory or BatchMemory()).get((size, channels, samples))
    varies = np.empty((size, channels), bool)
    step = max(1, _TILE_SAMPLES // (channels * samples))
    for first in range(0, size, step):
        tile = slice(first, min(first + step, size))
        varies[tile] = _normalize(raw[tile], specs[tile], signal[tile])
    return {"signal": signal, "channel_mask": varies, "channel_ids": _channel_ids(specs)}


def _channel_ids(specs: Sequence[WindowSpec]) -> np.ndarray:
    """Return the channel ids of windows, [B, M] int32; 0 where a channel is absent."""
    rows = {}  # most windows of a batch share a plan
    for spec in specs:
        if spec.plan not in rows:
            row = rows[spec.plan] = np.zeros(spec.num_channels, np.int32)
            row[: len(spec.plan.ids)] = spec.plan.ids
    return np.stack([rows[spec.plan] for spec in specs])


def _normalize(
    raw: Sequence[np.ndarray], specs: Sequence[WindowSpec], signal: np.ndarray
) -> np.ndarray:
    """Z-score windows into ``signal`` [B, M, L]; return which channels vary, [B, M] bool."""
    values = _SCRATCH.get(signal.shape)
    alike: dict[tuple[Resampler, int], list[int]] = {}
    for window, (samples, spec) in enumerate(zip(raw, specs, strict=True)):
        if spec.band is None and spec.change.is_polyphase and spec.copied_rows is None:
            alike.setdefault((spec.change, samples.shape[-1]), []).append(window)
        else:
            _copy(samples, spec, values[window])
    for windows in alike.values():
        _resample([raw[i] for i in windows], [specs[i] for i in windows], values, windows)
    samples_each = signal.shape[-1]
    rows = signal.reshape(-1, samples_each)
    present = z_score_ordinary_rows(values.reshape(-1, samples_each), rows)
    if present is None:
        # Also brings copied samples into the range of float32's sums, or raises.
        signal[...] = 0.0
        for window, (samples, spec) in enumerate(zip(raw, specs, strict=True)):
            signal[window, : len(spec.plan.ids)] = derive_window(samples, spec)
        rows[...], present = z_score(rows)
    return present.reshape(signal.shape[:2])


def _resample(
    raw: Sequence[np.ndarray], specs: Sequence[WindowSpec], values: np.ndarray, windows: list[int]
) -> None:
    """Derive and resample windows of one change of rate and one length in one call.

    Writes them to rows ``windows`` of ``values`` [B, M, L].
    """
    rows = [derive_rows(samples, spec) for samples, spec in zip(raw, specs, strict=True)]
    resampled = resample(np.concatenate(rows), specs[0].change)
    first = 0
    for window, made, spec in zip(windows, rows, specs, strict=True):
        values[window, : len(made)] = resampled[first : first + len(made), spec.resampled]
        values[window, len(made) :] = 0.0
        first += len(made)


def _copy(samples: np.ndarray, spec: WindowSpec, out: np.ndarray) -> None:
    """Write the channels of one window, before normalization, to ``out`` [M, L]; absent ones 0."""
    count, rows = len(spec.plan.ids), spec.copied_rows
    if rows is None or samples.dtype != np.float32:
        out[:count] = derive_window(samples, spec)
    elif isinstance(rows, slice):
        out[:count] = samples[rows]
    else:
        for channel, row in enumerate(rows):
            out[channel] = samples[row]
    if count < len(out):
        out[count:] = 0.0

"""A batch of windows made at once: the values of ``make_window``, in a fraction of the calls."""

from collections.abc import Sequence

import numpy as np

from physio_mae_jax.data.window_transform import Example, WindowSpec, derive_window
from physio_mae_jax.signals.float32_range import exponents
from physio_mae_jax.signals.preprocess import largest_magnitude, z_score, z_score_rows

# Samples normalized by one call. Smaller pieces fit the processor's cache, but threads would wait
# for each other between the calls.
_CHUNK_SAMPLES = 2**21


def make_windows(raw: Sequence[np.ndarray], specs: Sequence[WindowSpec]) -> Example:
    """Derive, resample, filter and normalize the channels of a batch of windows.

    Args:
        raw: Samples [m, last - first] of each window, float32 or float64.
        specs: Plan of each window; all of the same M and L.

    Returns:
        Entries of ``window_transform.make_window`` with a leading axis, equal bit for bit.

    Raises:
        DataError: A value is not finite.
    """
    size, channels, samples = len(specs), specs[0].num_channels, specs[0].num_samples
    signal = np.zeros((size, channels, samples), np.float32)
    ids = np.zeros((size, channels), np.int32)
    for window, (values, spec) in enumerate(zip(raw, specs, strict=True)):
        count = len(spec.plan.ids)
        ids[window, :count] = spec.plan.ids
        rows = spec.copied_rows
        if rows is None or values.dtype != np.float32:
            signal[window, :count] = derive_window(values, spec)
        else:
            # All rows exist; the default mode would copy once more.
            np.take(values, rows, axis=0, out=signal[window, :count], mode="clip")
    return {
        "signal": signal,
        "channel_mask": _normalize(signal, raw, specs),
        "channel_ids": ids,
    }


def _normalize(
    signal: np.ndarray, raw: Sequence[np.ndarray], specs: Sequence[WindowSpec]
) -> np.ndarray:
    """Z-score windows [B, M, L] in place; return which channels vary, [B, M] bool."""
    size, channels, samples = signal.shape
    varies = np.zeros((size, channels), bool)
    step = max(1, _CHUNK_SAMPLES // (channels * samples))
    for first in range(0, size, step):
        chunk = signal[first : first + step].reshape(-1, samples)
        largest = largest_magnitude(chunk)
        if np.isfinite(largest).all() and exponents(largest) is None:
            present = z_score_rows(chunk, largest, chunk)
        else:
            _derive_extreme(signal, raw, specs, range(first, min(first + step, size)))
            chunk[...], present = z_score(chunk)
        varies[first : first + step] = present.reshape(-1, channels)
    return varies


def _derive_extreme(
    signal: np.ndarray, raw: Sequence[np.ndarray], specs: Sequence[WindowSpec], windows: range
) -> None:
    """Bring copied samples beyond float32's sums into its range; raise if one is not finite."""
    for window in windows:
        spec = specs[window]
        signal[window, : len(spec.plan.ids)] = derive_window(raw[window], spec)

"""Error of the lag of a pulse after its ECG that an aligned model reads from single windows.

The reference is the known delay of synthetic recordings, or else the lag of the beats where nearly
all of them have a pulse. The loss of an aligned model compares lags with each other, so its lags
have a constant of their own: the errors are given with it and without it.
"""

import jax.numpy as jnp
import numpy as np

from physio_mae_jax.signals.lagged_similarity import best_lags, paired_similarity
from physio_mae_jax.signals.pulse_alignment import align_by_peaks

_MIN_SHARE = 0.8  # of beats with a pulse, below which their lag is no reference


def window_lags(steps: np.ndarray, lags: tuple[int, ...], step_seconds: float) -> np.ndarray:
    """Return the best lag of each window: [n] seconds.

    Args:
        steps: [n, 2, T, e] time steps of both channels, the pulse first.
        lags: Lags in steps.
        step_seconds: Length of a step.
    """
    pulse, ecg = jnp.asarray(steps[:, 0]), jnp.asarray(steps[:, 1])
    similarity = np.asarray(paired_similarity(pulse, ecg, lags))
    return best_lags(similarity, lags, step_seconds)[0]


def beat_lags(pairs: np.ndarray, sampling_rate_hz: float) -> np.ndarray:
    """Return the lag of the beats of windows [n, 2, L], NaN where few have a pulse: [n] seconds."""
    seconds = pairs.shape[-1] / sampling_rate_hz
    found = np.full(len(pairs), np.nan)
    for i, (ppg, ecg) in enumerate(pairs):
        one = align_by_peaks(
            ppg, ecg, sampling_rate_hz, window_seconds=seconds, step_seconds=seconds
        )
        if one.confidence[0] >= _MIN_SHARE:
            found[i] = one.lag_seconds[0]
    return found


def lag_error(lags: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Compare lags [n] with references [n] in seconds; NaN where there is none.

    Returns:
        'windows', their number; 'median' absolute error and its 10th and 90th percentile 'p10' and
        'p90'; 'constant', the median error; 'median_without_constant' and 'p90_without_constant'.
        Seconds; NaN if no window has a reference.
    """
    error = (lags - reference)[np.isfinite(reference)]
    if not error.size:
        return {"windows": 0, **dict.fromkeys(_FIELDS, float("nan"))}
    constant = np.median(error)
    rest = np.abs(error - constant)
    values = (
        *np.percentile(np.abs(error), (50, 10, 90)),
        constant,
        *np.percentile(rest, (50, 90)),
    )
    return {"windows": error.size, **dict(zip(_FIELDS, map(float, values), strict=True))}


_FIELDS = ("median", "p10", "p90", "constant", "median_without_constant", "p90_without_constant")

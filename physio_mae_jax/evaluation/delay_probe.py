"""Linear probe of the delay between two channels, from a frozen single-channel encoder.

The latents of both channels in each time column are centered and reduced to their principal
components. The features are the mean over columns of the products of one channel's components with
the other's, at equal columns and one column later. A ridge regression from these to the known delay
is fitted on training recordings and evaluated on held-out ones.
"""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

_COMPONENTS = 16
_LAGS = (0, 1, 2)


def probe_delay(
    fitted: np.ndarray, fitted_delay: np.ndarray, evaluated: np.ndarray, evaluated_delay: np.ndarray
) -> dict[str, float | list[float]]:
    """Fit a linear probe of the delay and evaluate it.

    Args:
        fitted: Column latents [U, n, 2, W, D] of n windows of each of U training recordings.
        fitted_delay: Delays [U] of the training recordings, seconds.
        evaluated: Column latents [U, n, 2, W, D] of the held-out recordings.
        evaluated_delay: Delays [U] of the held-out recordings, seconds.

    Returns:
        'correlation', 'mean_absolute_error_seconds', 'baseline_error_seconds' (error of predicting
        the mean training delay), 'predicted_seconds', 'true_seconds'.
    """
    count = min(_COMPONENTS, fitted.shape[-1])
    reducers = [
        PCA(count, whiten=True, random_state=0).fit(fitted[:, :, i].reshape(-1, fitted.shape[-1]))
        for i in range(2)
    ]
    regression = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 6, 13)))
    regression.fit(_products(fitted, reducers), fitted_delay)
    predicted = regression.predict(_products(evaluated, reducers))
    baseline = np.abs(evaluated_delay - fitted_delay.mean()).mean()
    varies = np.ptp(predicted) > 0 and np.ptp(evaluated_delay) > 0
    return {
        "correlation": float(np.corrcoef(predicted, evaluated_delay)[0, 1]) if varies else 0.0,
        "mean_absolute_error_seconds": float(np.abs(predicted - evaluated_delay).mean()),
        "baseline_error_seconds": float(baseline),
        "predicted_seconds": predicted.tolist(),
        "true_seconds": evaluated_delay.tolist(),
    }


def _products(latents: np.ndarray, reducers: list[PCA]) -> np.ndarray:
    """Average products of both channels' components over windows and columns: [U, lags · k²]."""
    recordings, windows, _, columns, _ = latents.shape
    first, second = (
        reducer.transform(latents[:, :, i].reshape(-1, latents.shape[-1])).reshape(
            recordings, windows, columns, -1
        )
        for i, reducer in enumerate(reducers)
    )
    parts = []
    for lag in _LAGS:
        early, late = first[:, :, : columns - lag], second[:, :, lag:]
        parts.append(np.einsum("rnwa,rnwb->rab", early, late) / (windows * (columns - lag)))
    return np.stack(parts, axis=1).reshape(recordings, -1)

"""Agreement of a graph with JAX on the same windows."""

from collections.abc import Mapping

import numpy as np

from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.compiled_encoder import CompiledEncoder
from physio_mae_jax.inference.edge.contract import Agreement, EdgeOutput
from physio_mae_jax.inference.precision import example_windows
from physio_mae_jax.inference.trained_model import TrainedModel

# Largest difference, as a share of the largest output.
MAX_RELATIVE_ERROR = 1e-5
# Cosines of embeddings without their mean, and the share of windows with the same neighbor.
MIN_MEAN_COSINE, MIN_COSINE, MIN_NEIGHBORS = 0.999, 0.99, 0.95
_NUM_WINDOWS = 8


def agreement_of(found: np.ndarray, wanted: np.ndarray) -> Agreement:
    """Compare outputs [B, …] with those of JAX."""
    first, second = (
        values.reshape(len(values), -1).astype(np.float64) for values in (found, wanted)
    )
    error = np.abs(first - second).max() / max(np.abs(second).max(), 1e-30)
    mean = second.mean(axis=0)
    units = [_unit(values - mean) for values in (first, second)]
    cosines = (units[0] * units[1]).sum(axis=1)
    neighbors = [_neighbors(values) for values in units]
    return Agreement(
        num_windows=len(first),
        relative_error=float(error),
        mean_cosine=float(cosines.mean()),
        min_cosine=float(cosines.min()),
        same_neighbor=float((neighbors[0] == neighbors[1]).mean()),
    )


def require_float32(found: Agreement) -> None:
    """Reject a graph in float32 that does not agree with JAX, with a DataError."""
    if not found.relative_error <= MAX_RELATIVE_ERROR:
        raise DataError(
            f"the graph differs from JAX by {found.relative_error:.2g} of the largest output; at "
            f"most {MAX_RELATIVE_ERROR:g} is accepted, and nothing was written. Report it with the "
            "versions of onnx and onnxruntime, or use export()."
        )


def require_int8(found: Agreement) -> None:
    """Reject a quantized graph that does not agree with JAX, with a DataError."""
    limits = {
        "mean cosine": (found.mean_cosine, MIN_MEAN_COSINE),
        "smallest cosine": (found.min_cosine, MIN_COSINE),
        "share of windows with the same nearest neighbor": (found.same_neighbor, MIN_NEIGHBORS),
    }
    for name, (value, limit) in limits.items():
        if not value >= limit:
            raise DataError(
                f"in int8 the {name} on {found.num_windows} held-back windows is {value:.4f}; at "
                f"least {limit:g} is required, and nothing was written. Give more and more varied "
                "recordings for calibration, or export with precision='float32'."
            )


def reference_outputs(
    encoder: CompiledEncoder, windows: Mapping[str, np.ndarray], output: EdgeOutput
) -> np.ndarray:
    """Return the outputs [B, …] of windows of ``contract.fit_channels``, one at a time."""
    found = []
    for row in range(len(windows["signal"])):
        one = {name: values[row : row + 1] for name, values in windows.items()}
        one["channel_ids"] = one["channel_ids"].astype(np.int32)
        found.append(encoder.run(one, "pooled" if output == "embedding" else "columns"))
    return np.concatenate([np.asarray(values) for values in found])


def probe_windows(trained: TrainedModel, num_channels: int) -> dict[str, np.ndarray]:
    """Make windows of beats and noise with M channels, some of them absent from some windows."""
    windows = example_windows(trained, _NUM_WINDOWS)
    rows = np.arange(num_channels) % windows["signal"].shape[1]
    found = {name: windows[name][:, rows] for name in ("signal", "channel_mask", "channel_ids")}
    found["channel_mask"] = found["channel_mask"].copy()
    if num_channels > 1:
        found["channel_mask"][1, 0] = False
        found["channel_mask"][2, 1:] = False
    found["channel_ids"] = found["channel_ids"].astype(np.int64)
    share = np.random.default_rng(0).uniform(0.5, 1, windows["column_weight"].shape)
    found["column_weight"] = share.astype(np.float32)
    return found


def _unit(values: np.ndarray) -> np.ndarray:
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-30)


def _neighbors(units: np.ndarray) -> np.ndarray:
    """Return the nearest other row of each row [B]."""
    cosines = units @ units.T
    np.fill_diagonal(cosines, -np.inf)
    return cosines.argmax(axis=1)

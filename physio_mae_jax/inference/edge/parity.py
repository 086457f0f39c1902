"""Agreement of a graph with JAX on the same windows."""

import dataclasses

import numpy as np

from physio_mae_jax.data.input_spec import InputSpec
from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.class_decision import ClassDecision
from physio_mae_jax.inference.edge.contract import Agreement
from physio_mae_jax.inference.edge.labels import LinearProbe, macro_auroc
from physio_mae_jax.inference.precision import example_windows

# Largest difference, as a share of the largest output.
MAX_RELATIVE_ERROR = 1e-5
# Cosines of embeddings without their mean, and the share of windows with the same neighbor.
MIN_MEAN_COSINE, MIN_COSINE, MIN_NEIGHBORS = 0.999, 0.99, 0.95
# Of a classifier: the mean difference of probabilities, and the share of equal decisions.
MAX_PROBABILITY_ERROR, MIN_DECISIONS = 0.01, 0.97
MAX_AUROC_LOSS = 0.002
# Size of a quantized graph, as a share of that in float32.
MAX_SIZE = 0.5
_NUM_WINDOWS = 8
_OTHERWISE = (
    "nothing was written. Give more and more varied recordings for calibration, or export with "
    "precision='float32'."
)


def agreement_of(
    found: np.ndarray, wanted: np.ndarray, decision: ClassDecision | None = None
) -> Agreement:
    """Compare outputs [B, …] with those of JAX; of a classifier also probabilities, decisions."""
    first, second = (
        values.reshape(len(values), -1).astype(np.float64) for values in (found, wanted)
    )
    error = np.abs(first - second).max() / max(np.abs(second).max(), 1e-30)
    mean = second.mean(axis=0)
    units = [_unit(values - mean) for values in (first, second)]
    cosines = (units[0] * units[1]).sum(axis=1)
    neighbors = [_neighbors(values) for values in units]
    agreement = Agreement(
        num_windows=len(first),
        relative_error=float(error),
        mean_cosine=float(cosines.mean()),
        min_cosine=float(cosines.min()),
        same_neighbor=float((neighbors[0] == neighbors[1]).mean()),
    )
    if decision is None:
        return agreement
    chances = [decision.probabilities(values) for values in (first, second)]
    decisions = [decision.predict_classes(values) for values in chances]
    return dataclasses.replace(
        agreement,
        probability_error=float(np.abs(chances[0] - chances[1]).mean()),
        same_decision=float((decisions[0] == decisions[1]).all(axis=1).mean()),
    )


def add_auroc(
    agreement: Agreement,
    found: np.ndarray,
    wanted: np.ndarray,
    labels: np.ndarray,
    probe: LinearProbe | None,
) -> Agreement:
    """Add how well both outputs tell labels apart.

    Args:
        agreement: Agreement of the outputs.
        found, wanted: Outputs [B, …] of the graph and of JAX.
        labels: Labels [B, Y] of the windows.
        probe: Probe of embeddings, fitted on those of JAX; None for logits.
    """
    flat = [values.reshape(len(values), -1) for values in (found, wanted)]
    scores = [probe.scores(values) for values in flat] if probe else flat
    first, second = (macro_auroc(values, labels) for values in scores)
    return dataclasses.replace(agreement, auroc=first, reference_auroc=second)


def require_float32(found: Agreement) -> None:
    """Reject a graph in float32 that does not agree with JAX, with a DataError."""
    if not found.relative_error <= MAX_RELATIVE_ERROR:
        raise DataError(
            f"the graph differs from JAX by {found.relative_error:.2g} of the largest output; at "
            f"most {MAX_RELATIVE_ERROR:g} is accepted, and nothing was written. Report it with the "
            "versions of the libraries of the extra, or use export()."
        )


def require_int8(found: Agreement) -> None:
    """Reject a quantized graph that does not agree with JAX, with a DataError."""
    limits = {
        "mean cosine": (found.mean_cosine, MIN_MEAN_COSINE),
        "smallest cosine": (found.min_cosine, MIN_COSINE),
        "share of windows with the same nearest neighbor": (found.same_neighbor, MIN_NEIGHBORS),
    }
    if found.same_decision is not None:  # logits of two classes have no direction to compare
        limits = {"share of windows with the same decisions": (found.same_decision, MIN_DECISIONS)}
    for name, (value, limit) in limits.items():
        if not value >= limit:
            raise DataError(
                f"in int8 the {name} on {found.num_windows} held-back windows is {value:.4f}; at "
                f"least {limit:g} is required, and {_OTHERWISE}"
            )
    error = found.probability_error
    if error is not None and not error <= MAX_PROBABILITY_ERROR:
        raise DataError(
            f"in int8 probabilities on {found.num_windows} held-back windows differ by {error:.4f} "
            f"on average; at most {MAX_PROBABILITY_ERROR:g} is accepted, and {_OTHERWISE}"
        )
    if found.auroc is None or found.reference_auroc is None:
        return
    if not found.reference_auroc - found.auroc <= MAX_AUROC_LOSS:
        raise DataError(
            f"in int8 the AUROC of calibration_labels on {found.num_windows} held-back windows is "
            f"{found.auroc:.4f} instead of {found.reference_auroc:.4f}; at most {MAX_AUROC_LOSS:g} "
            f"less is accepted, and {_OTHERWISE}"
        )


def require_small(num_bytes: int, float32_bytes: int) -> None:
    """Reject a quantized graph that saves too little, with a DataError."""
    if num_bytes > MAX_SIZE * float32_bytes:
        raise DataError(
            f"in int8 the graph has {num_bytes:,} bytes, {num_bytes / float32_bytes:.2f} of the "
            f"{float32_bytes:,} in float32; at most {MAX_SIZE:g} is accepted, and nothing was "
            "written. The blocks of this model are too small to gain; export with "
            "precision='float32'."
        )


def probe_windows(given: InputSpec, num_columns: int, num_channels: int) -> dict[str, np.ndarray]:
    """Make windows of beats and noise with M channels, some of them absent from some windows.

    Args:
        given: Windows of the model.
        num_columns: Number of their columns W.
        num_channels: Number of channels M.
    """
    windows = example_windows(given, num_columns, _NUM_WINDOWS)
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

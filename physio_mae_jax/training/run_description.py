"""Description of a model and of a batch, for the files and messages of a run."""

from collections.abc import Mapping, Sequence

import jax
import numpy as np

from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.types import JsonObject, Params


def parameter_table(params: Params) -> str:
    """List every parameter array with shape and count, and the totals of each part."""
    rows = []
    totals: dict[str, int] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        names = [str(getattr(key, "key", key)) for key in path]
        size = int(np.prod(leaf.shape))
        rows.append(f"{'/'.join(names):<58} {leaf.shape!s:<22} {size:>12,}")
        totals[names[0]] = totals.get(names[0], 0) + size
    summary = [f"{part:<81} {count:>12,}" for part, count in totals.items()]
    total = f"{'total':<81} {sum(totals.values()):>12,}"
    return "\n".join([*rows, "", *summary, total]) + "\n"


def parameter_summary(params: Params) -> str:
    """Return the number of parameters of a model and of its parts on one line."""
    counts = {
        part: sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))
        for part, tree in params.items()
    }
    parts = ", ".join(f"{part} {count / 1e6:.2f} M" for part, count in counts.items())
    return f"{sum(counts.values()) / 1e6:.2f} M parameters ({parts})"


def describe_batch(
    batch: Mapping[str, np.ndarray], recordings: Sequence[RecordingInfo], sampling_rate_hz: float
) -> list[JsonObject]:
    """Describe each window of a host batch, so that it can be found in the data again.

    Args:
        batch: Stacked entries of ``data.windows.WindowReader.read``.
        recordings: Recordings of the source of the batch.
        sampling_rate_hz: Sampling rate of the windows, Hz.
    """
    return [
        {
            "recording": recordings[int(recording)].record_id,
            "subject": recordings[int(recording)].subject_id,
            "start_seconds": int(start) / sampling_rate_hz,
            "channels_present": present.tolist(),
            "finite": bool(np.isfinite(signal).all()),
            "minimum": signal.min(axis=-1).tolist(),
            "maximum": signal.max(axis=-1).tolist(),
        }
        for recording, start, present, signal in zip(
            batch["recording"], batch["start"], batch["channel_mask"], batch["signal"], strict=True
        )
    ]

"""Predictions of labelled instances by a model during or after training."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from physio_mae_jax.data.instances import Instances
from physio_mae_jax.data.labelled_batches import evaluation_batches
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.models.window_batch import CHANNEL_ENTRIES
from physio_mae_jax.training.sharding import shard_batch


def predict_windows(
    predict: Callable[[dict[str, jax.Array]], jax.Array],
    reader: WindowReader,
    instances: Instances,
    mesh: Mesh,
    batch_size: int,
    num_threads: int,
) -> np.ndarray:
    """Predict every window that instances are evaluated on.

    Args:
        predict: Compiled function from entries [B, …] to [B, Y], the same on every process.
        reader: Reader of the windows.
        instances: Instances to predict.
        mesh: Device mesh the batch is sharded over.
        batch_size: Windows per batch B, over all processes.
        num_threads: Threads that read ahead.

    Returns:
        Predictions [n, Y], float32, in the order of ``instances.window_instance``.
    """
    share = batch_size // jax.process_count()
    mine = slice(jax.process_index() * share, (jax.process_index() + 1) * share)
    rows: list[Any] = []
    for batch, count in evaluation_batches(reader, instances, batch_size, num_threads):
        inputs = {name: batch[name][mine] for name in CHANNEL_ENTRIES}
        # Fetched one batch late, so that the device computes while the next batch is read.
        rows.append((predict(shard_batch(inputs, mesh)), count))
        if len(rows) > 1:
            logits, kept = rows[-2]
            rows[-2] = np.asarray(logits)[:kept]
    logits, kept = rows[-1]
    rows[-1] = np.asarray(logits)[:kept]
    return np.concatenate(rows).astype(np.float32)


def predict_instances(
    predict: Callable[[dict[str, jax.Array]], jax.Array],
    reader: WindowReader,
    instances: Instances,
    mesh: Mesh,
    batch_size: int,
    num_threads: int,
) -> np.ndarray:
    """Predict instances as the mean over their windows: [U, Y] float64; see ``predict_windows``."""
    windows = predict_windows(predict, reader, instances, mesh, batch_size, num_threads)
    return average_by_instance(windows, instances)


def average_by_instance(window_logits: np.ndarray, instances: Instances) -> np.ndarray:
    """Average predictions [n, Y] of windows over each instance: [U, Y] float64."""
    totals = np.zeros((len(instances), window_logits.shape[1]))
    np.add.at(totals, instances.window_instance, window_logits.astype(np.float64))
    return totals / np.bincount(instances.window_instance, minlength=len(instances))[:, None]

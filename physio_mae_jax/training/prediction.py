"""Predictions of labeled instances by a model during or after training."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from physio_mae_jax.data.instances import Instances
from physio_mae_jax.data.labeled_batches import evaluation_batches
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
    """Predict all evaluation windows of instances.

    Args:
        predict: Compiled function from entries [B, …] to [B, …], the same on every process.
        reader: Reader of the windows.
        instances: Instances to predict.
        mesh: Device mesh the batch is sharded over.
        batch_size: Windows per batch B, over all processes.
        num_threads: Number of prefetching threads.

    Returns:
        Predictions [n, …], in the order of ``instances.window_instance``.
    """
    local_size = batch_size // jax.process_count()
    local_slice = slice(jax.process_index() * local_size, (jax.process_index() + 1) * local_size)
    rows: list[Any] = []
    for batch, count in evaluation_batches(reader, instances, batch_size, num_threads):
        inputs = {name: batch[name][local_slice] for name in CHANNEL_ENTRIES}
        # Fetched one batch later, so that the device computes while the next batch is read.
        rows.append((predict(shard_batch(inputs, mesh)), count))
        if len(rows) > 1:
            logits, num_windows = rows[-2]
            rows[-2] = np.asarray(logits)[:num_windows]
    logits, num_windows = rows[-1]
    rows[-1] = np.asarray(logits)[:num_windows]
    return np.concatenate(rows)


def predict_instances(
    predict: Callable[[dict[str, jax.Array]], jax.Array],
    reader: WindowReader,
    instances: Instances,
    mesh: Mesh,
    batch_size: int,
    num_threads: int,
) -> np.ndarray:
    """Predict what ``Instances.evaluation_targets`` gives; arguments as in ``predict_windows``.

    Returns:
        The mean over the windows of each instance [U, Y] float64; for segmentation the classes of
        the samples of each window [n, M, L] int8.
    """
    windows = predict_windows(predict, reader, instances, mesh, batch_size, num_threads)
    return windows if instances.sample_labels else average_by_instance(windows, instances)


def average_by_instance(window_logits: np.ndarray, instances: Instances) -> np.ndarray:
    """Average predictions [n, Y] of windows over each instance: [U, Y] float64."""
    totals = np.zeros((len(instances), window_logits.shape[1]))
    np.add.at(totals, instances.window_instance, window_logits.astype(np.float64))
    return totals / np.bincount(instances.window_instance, minlength=len(instances))[:, None]

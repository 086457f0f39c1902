"""Splitting signals and scalograms into time columns and patches, and back.

A *column* is ``patch_samples`` consecutive samples, over all scales; a *patch* is one of its H
frequency rows of ``patch_scales`` scales. Tokens are ordered by column first: [B, M, W, H, …].
"""

import jax
import jax.numpy as jnp


def take_columns(array: jax.Array, column_ids: jax.Array, axis: int) -> jax.Array:
    """Select columns of each example of a batch.

    Args:
        array: [B, …, W, …] with the W columns at ``axis`` (> 0).
        column_ids: [B, K] int, each in [0, W).

    Returns:
        [B, …, K, …].
    """
    return jax.vmap(lambda row, ids: jnp.take(row, ids, axis=axis - 1, mode="clip"))(
        array, column_ids
    )


def signal_columns(signal: jax.Array, patch_samples: int) -> jax.Array:
    """Split [B, M, L] into columns [B, M, W, patch_samples]."""
    return signal.reshape(*signal.shape[:-1], -1, patch_samples)


def patchify_scalogram(
    scalogram: jax.Array,
    patch_scales: int,
    patch_samples: int,
    column_ids: jax.Array | None = None,
) -> jax.Array:
    """Split a scalogram into patches, optionally of selected columns only.

    Args:
        scalogram: [B, M, C, S, L].
        patch_scales: Scales per patch (pf), divides S.
        patch_samples: Samples per patch (pt), divides L.
        column_ids: [B, K] int, columns to return; None for all W.

    Returns:
        [B, M, K or W, H, C · pf · pt], flattened in the order (C, pf, pt) (models.md#tokenizer).
    """
    batch, channels, planes, scales, _ = scalogram.shape
    columns = scalogram.reshape(batch, channels, planes, scales, -1, patch_samples)
    if column_ids is not None:
        # Selecting before transposing moves less data.
        columns = take_columns(columns, column_ids, axis=4)
    kept = columns.shape[4]
    rows = scales // patch_scales
    columns = columns.reshape(batch, channels, planes, rows, patch_scales, kept, patch_samples)
    patches = columns.transpose(0, 1, 5, 3, 2, 4, 6)
    return patches.reshape(batch, channels, kept, rows, planes * patch_scales * patch_samples)


def join_patches(patches: jax.Array, planes: int, patch_scales: int) -> jax.Array:
    """Inverse of ``patchify_scalogram`` for all columns.

    [B, M, W, H, C·pf·pt] -> [B, M, C, S, L].
    """
    batch, channels, columns, rows, size = patches.shape
    patch_samples = size // (planes * patch_scales)
    split = patches.reshape(
        batch, channels, columns, rows, planes, patch_scales, patch_samples
    ).transpose(0, 1, 4, 3, 5, 2, 6)
    return split.reshape(batch, channels, planes, rows * patch_scales, columns * patch_samples)


def fill_masked_columns(
    signal: jax.Array, masked_columns: jax.Array, patch_samples: int
) -> jax.Array:
    """Fill masked columns by linear interpolation between the nearest visible samples.

    Used as the model's input signal and as a trivial baseline of its predictions; masked samples
    are not used. The first and last visible samples are extended to the ends.

    Args:
        signal: [B, M, L].
        masked_columns: [B, W] bool, True = masked; at least one column of each row is visible.
        patch_samples: Samples per column.

    Returns:
        [B, M, L], equal to ``signal`` on visible columns.
    """
    num_samples = signal.shape[-1]
    position = jnp.arange(num_samples)
    visible = ~jnp.repeat(masked_columns, patch_samples, axis=-1)
    left = jax.lax.cummax(jnp.where(visible, position, -1), axis=1)
    right = jax.lax.cummin(jnp.where(visible, position, num_samples), axis=1, reverse=True)
    left, right = (
        jnp.where(left < 0, right, left),
        jnp.where(right >= num_samples, left, right),
    )
    fraction = (position - left) / jnp.maximum(right - left, 1)
    before = jnp.take_along_axis(signal, left[:, None, :], axis=-1)
    after = jnp.take_along_axis(signal, right[:, None, :], axis=-1)
    line = before + (after - before) * fraction[:, None, :].astype(signal.dtype)
    return jnp.where(visible[:, None, :], signal, line)

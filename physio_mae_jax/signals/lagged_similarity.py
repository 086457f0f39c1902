"""Similarity of two sequences of vectors at their best lag.

A sequence [T, E] has a vector for each time step. The similarity of two of them at a lag is the sum
over time of the inner products of the vectors that the lag brings together; steps that it moves out
of the window count as zero. The first sequence follows the second by the lag: a pulse wave and the
ECG before it.
"""

import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.signals.peak_interpolation import peak_shift


def lag_steps(range_seconds: tuple[float, float], step_seconds: float) -> tuple[int, ...]:
    """Return the lags of a range, both ends included, in whole steps; at least one."""
    first = int(np.ceil(range_seconds[0] / step_seconds - 1e-6))
    last = int(np.floor(range_seconds[1] / step_seconds + 1e-6))
    return tuple(range(first, max(first, last) + 1))


def unit_sequences(values: jax.Array, valid: jax.Array) -> jax.Array:
    """Subtract the mean over time, and scale the sequence to unit norm.

    Args:
        values: [N, T, E].
        valid: [N, T] bool, True where a step holds signal; the others become zero.
    """
    weight = valid[..., None].astype(values.dtype)
    mean = (values * weight).sum(axis=1, keepdims=True)
    centered = (values - mean / jnp.maximum(weight.sum(axis=1, keepdims=True), 1.0)) * weight
    squared = (centered**2).sum(axis=(1, 2), keepdims=True)
    return centered * jax.lax.rsqrt(jnp.maximum(squared, 1e-12))


def delayed(sequences: jax.Array, lags: tuple[int, ...]) -> jax.Array:
    """Delay sequences [N, T, E] by each of A lags: [N, A, T, E], zeros where nothing arrives."""
    steps = sequences.shape[1]
    reach = max(0, -min(lags)), max(0, max(lags))
    padded = jnp.pad(sequences, ((0, 0), (reach[1], reach[0]), (0, 0)))
    return jnp.stack([padded[:, reach[1] - lag : reach[1] - lag + steps] for lag in lags], axis=1)


def pairwise_similarity(first: jax.Array, second: jax.Array, lags: tuple[int, ...]) -> jax.Array:
    """Compare every sequence [N, T, E] with every other [K, T, E] at A lags: [N, K, A].

    One matrix product: of all first sequences, and all second ones delayed by every lag.
    """
    shifted = delayed(second, lags)
    product = jnp.matmul(
        first.reshape(len(first), -1),
        shifted.reshape(len(second) * len(lags), -1).T,
        precision=jax.lax.Precision.HIGHEST,
    )
    return product.reshape(len(first), len(second), len(lags))


def paired_similarity(first: jax.Array, second: jax.Array, lags: tuple[int, ...]) -> jax.Array:
    """Compare sequences [N, T, E] with those of the same rows at A lags: [N, A]."""
    return jnp.einsum(
        "nte,nate->na", first, delayed(second, lags), precision=jax.lax.Precision.HIGHEST
    )


def circular_similarity(first: jax.Array, second: jax.Array) -> jax.Array:
    """Compare sequences [N, T, E] with those of the same rows, rotated by every lag: [N, T].

    Entry k is the similarity with the second sequence rotated to the right by k steps.
    """
    steps = first.shape[1]
    products = jnp.einsum("nte,nse->nst", first, second, precision=jax.lax.Precision.HIGHEST)
    # Row s, column t holds lag t - s; one more column per row makes equal lags a column.
    twice = jnp.concatenate([products, products], axis=2).reshape(len(first), -1)
    skewed = jnp.pad(twice, ((0, 0), (0, steps))).reshape(len(first), steps, 2 * steps + 1)
    return skewed[:, :, :steps].sum(axis=1)


def best_pairwise(first: np.ndarray, second: np.ndarray, lags: tuple[int, ...]) -> np.ndarray:
    """Return the largest of ``pairwise_similarity`` over the lags, one lag at a time: [N, K].

    Takes memory for one lag only, for the many windows of an evaluation.
    """
    steps = first.shape[1]
    best = np.full((len(first), len(second)), -np.inf, np.float32)
    for lag in lags:
        late, early = first[:, max(lag, 0) :], second[:, max(-lag, 0) :]
        both = min(late.shape[1], early.shape[1], steps - abs(lag))
        product = (
            late[:, :both].reshape(len(first), -1) @ early[:, :both].reshape(len(second), -1).T
        )
        np.maximum(best, product, out=best)
    return best


def best_lags(
    similarity: np.ndarray, lags: tuple[int, ...], step_seconds: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lag of the largest similarity of each row, and that similarity.

    Args:
        similarity: [n, A] at A lags.
        lags: Consecutive lags in steps.
        step_seconds: Length of a step.

    Returns:
        Lags in seconds, between steps by a parabola; similarities: [n] each.
    """
    rows, best = np.arange(len(similarity)), similarity.argmax(axis=1)
    inner = np.clip(best, 1, max(1, similarity.shape[1] - 2))
    shift = np.zeros(len(similarity))
    if similarity.shape[1] > 2:
        vertex = peak_shift(*(similarity[rows, inner + i] for i in (-1, 0, 1)))
        shift = np.where(inner == best, vertex, 0.0)
    return (np.asarray(lags)[best] + shift) * step_seconds, similarity[rows, best]

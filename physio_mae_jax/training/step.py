"""The training step: a pure function of state and batch, and the state it carries."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax.sharding import Mesh

from physio_mae_jax.models.mae import MaskedAutoencoder
from physio_mae_jax.objectives.pretraining import (
    Batch,
    ObjectiveConfig,
    Params,
    draw_mask,
    held_out_errors,
    pretraining_loss,
)
from physio_mae_jax.training.sharding import along_batch, replicated

Metrics = dict[str, jax.Array]


class TrainState(struct.PyTreeNode):
    """All that a step changes.

    Attributes:
        step: int32, updates done.
        params: of the model, float32.
        opt_state: of the optimizer.
        halted: bool; set by a loss or gradient that is not finite. The update that caused it and
            all later ones leave everything else as it was.
    """

    step: jax.Array
    params: Params
    opt_state: Any
    halted: jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainTask:
    """What a step needs besides its state: fixed for a run."""

    model: MaskedAutoencoder
    objective: ObjectiveConfig
    optimizer: optax.GradientTransformation
    learning_rate: optax.Schedule
    accumulation_steps: int
    seed: int


def init_state(task: PretrainTask) -> TrainState:
    """Initialise parameters and optimizer; jit it with shardings, or ``jax.eval_shape`` it."""
    cfg = task.model.config
    # Two channels, since the channel branch makes no parameters for one.
    shape = (1, 2)
    mask = draw_mask(jax.random.key(0), 1, cfg, task.objective)
    params = task.model.init(
        jax.random.key(task.seed),
        jnp.zeros((*shape, cfg.num_samples)),
        jnp.ones(shape, bool),
        jnp.zeros(shape, jnp.int32),
        mask.visible_ids,
        mask.hidden_ids,
    )["params"]
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        opt_state=task.optimizer.init(params),
        halted=jnp.zeros((), bool),
    )


def train_step(task: PretrainTask, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    """Make one update.

    Returns:
        The new state; float32 scalars 'loss', 'scalogram_loss', 'waveform_loss', 'gradient_norm',
        'learning_rate', and bool 'halted'.
    """
    key = jax.random.fold_in(jax.random.key(task.seed), state.step)
    gradient, metrics = _mean_gradient(task, state.params, batch, key)
    gradient_norm = optax.tree.norm(gradient)
    updates, opt_state = task.optimizer.update(gradient, state.opt_state, state.params)
    updated = TrainState(
        step=state.step + 1,
        params=optax.apply_updates(state.params, updates),
        opt_state=opt_state,
        halted=jnp.zeros((), bool),
    )
    finite = jnp.isfinite(metrics["loss"]) & jnp.isfinite(gradient_norm)
    halted = state.halted | ~finite
    kept = state.replace(halted=halted)
    state = jax.tree.map(lambda new, old: jnp.where(halted, old, new), updated, kept)
    metrics |= {
        "gradient_norm": gradient_norm,
        "learning_rate": jnp.asarray(task.learning_rate(kept.step), jnp.float32),
        "halted": halted,
    }
    return state, metrics


def _mean_gradient(
    task: PretrainTask, params: Params, batch: Batch, key: jax.Array
) -> tuple[Params, Metrics]:
    """Average gradient and losses over the micro-batches of a batch."""
    signal = batch["signal"]
    mask = draw_mask(key, signal.shape[0], task.model.config, task.objective)
    inputs = {name: batch[name] for name in ("signal", "channel_mask", "channel_ids")}
    differentiate = jax.grad(pretraining_loss, argnums=2, has_aux=True)
    if task.accumulation_steps == 1:
        return differentiate(task.model, task.objective, params, inputs, mask)

    def add_micro_batch(total: Any, micro: Any) -> tuple[Any, None]:
        result = differentiate(task.model, task.objective, params, *micro)
        return jax.tree.map(jnp.add, total, result), None

    micro_batches = jax.tree.map(
        lambda values: _split_interleaved(values, task.accumulation_steps), (inputs, mask)
    )
    shapes = jax.eval_shape(
        lambda first: differentiate(task.model, task.objective, params, *first),
        jax.tree.map(lambda values: values[0], micro_batches),
    )
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    total, _ = jax.lax.scan(add_micro_batch, zeros, micro_batches)
    return jax.tree.map(lambda values: values / task.accumulation_steps, total)


def _split_interleaved(values: jax.Array, parts: int) -> jax.Array:
    """Split [B, …] into [parts, B / parts, …], micro-batch i taking every parts-th example.

    Contiguous parts would lie on a few devices each; interleaved ones stay where they are.
    """
    return jnp.moveaxis(values.reshape(-1, parts, *values.shape[1:]), 1, 0)


def evaluation_step(task: PretrainTask, params: Params, batch: Batch, key: jax.Array) -> Metrics:
    """Sum the errors of model and baselines over a held-out batch.

    Returns:
        The entries of ``held_out_errors`` as sums weighted by batch['weight'], and 'weight',
        their number.
    """
    mask = draw_mask(key, batch["signal"].shape[0], task.model.config, task.objective)
    errors = held_out_errors(task.model, task.objective, params, batch, mask)
    sums = {name: (values * batch["weight"]).sum() for name, values in errors.items()}
    return sums | {"weight": batch["weight"].sum()}


def compile_train_step(
    task: PretrainTask, mesh: Mesh
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """Jit ``train_step`` over a mesh; the state passed in is donated."""
    return jax.jit(
        lambda state, batch: train_step(task, state, batch),
        in_shardings=(replicated(mesh), along_batch(mesh)),
        out_shardings=replicated(mesh),
        donate_argnums=0,
    )


def compile_evaluation_step(
    task: PretrainTask, mesh: Mesh
) -> Callable[[Params, Batch, jax.Array], Metrics]:
    """Jit ``evaluation_step`` over a mesh."""
    return jax.jit(
        lambda params, batch, key: evaluation_step(task, params, batch, key),
        in_shardings=(replicated(mesh), along_batch(mesh), replicated(mesh)),
        out_shardings=replicated(mesh),
    )

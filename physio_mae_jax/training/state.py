"""What a step changes, and the one way in which it is changed."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

Params = Any  # a nested dict of arrays, as linen makes it
Metrics = dict[str, jax.Array]


class TrainState(struct.PyTreeNode):
    """All that a step changes.

    Attributes:
        step: int32, updates done.
        key: data of the random key that every step's own is folded from. Carried here rather than
            compiled in, so that runs that differ in their seed share a compiled step.
        params: of the model, float32.
        opt_state: of the optimizer.
        halted: bool; set by a loss or gradient that is not finite. The update that caused it and
            all later ones leave everything else as it was.
        model_state: what the model keeps beside its parameters, such as running statistics; {}
            for most.
        average: of the parameters over time; {} where none is kept.
    """

    step: jax.Array
    key: jax.Array
    params: Params
    opt_state: Any
    halted: jax.Array
    model_state: Any = struct.field(default_factory=dict)
    average: Params = struct.field(default_factory=dict)

    @classmethod
    def start(
        cls,
        key: jax.Array,
        params: Params,
        optimizer: optax.GradientTransformation,
        model_state: Any = None,
        keeps_average: bool = False,
    ) -> "TrainState":
        """Begin with a random key and some parameters."""
        return cls(
            step=jnp.zeros((), jnp.int32),
            key=jax.random.key_data(key),
            params=params,
            opt_state=optimizer.init(params),
            halted=jnp.zeros((), bool),
            model_state=model_state or {},
            average=jax.tree.map(jnp.copy, params) if keeps_average else {},
        )

    def step_key(self) -> jax.Array:
        """Return the random key of the next step."""
        return jax.random.fold_in(jax.random.wrap_key_data(self.key), self.step)

    @property
    def best_params(self) -> Params:
        """The average of the parameters where one is kept, else the parameters."""
        return self.average or self.params


def advance(
    state: TrainState,
    optimizer: optax.GradientTransformation,
    gradient: Params,
    loss: jax.Array,
    *,
    model_state: Any = None,
    ema_decay: float = 0.0,
) -> tuple[TrainState, Metrics]:
    """Make one update, or none where the loss or the gradient is not finite.

    Args:
        state: before.
        optimizer: of the run.
        gradient: of the loss, shaped like the parameters.
        loss: scalar.
        model_state: after this step; None where the model keeps none.
        ema_decay: of ``state.average``; early on a smaller one, so that the start is forgotten.

    Returns:
        The state after; 'gradient_norm' float32 and 'halted' bool.
    """
    gradient_norm = optax.tree.norm(gradient)
    updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    step = state.step + 1
    keep = jnp.minimum(ema_decay, (1 + step) / (10 + step))
    updated = TrainState(
        step=step,
        key=state.key,
        params=params,
        opt_state=opt_state,
        halted=jnp.zeros((), bool),
        model_state=state.model_state if model_state is None else model_state,
        average=jax.tree.map(
            # In this form the average of what does not move is that, to the last bit.
            lambda mean, new: mean + (1 - keep) * (new - mean),
            state.average,
            params if state.average else {},
        ),
    )
    halted = state.halted | ~(jnp.isfinite(loss) & jnp.isfinite(gradient_norm))
    kept = state.replace(halted=halted)
    state = jax.tree.map(lambda new, old: jnp.where(halted, old, new), updated, kept)
    return state, {"gradient_norm": gradient_norm, "halted": halted}

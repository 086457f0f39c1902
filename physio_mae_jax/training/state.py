"""The training state and its update."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax
from flax import struct

from physio_mae_jax.types import Params

Metrics = dict[str, jax.Array]


class TrainState(struct.PyTreeNode):
    """The state that a training step updates.

    Attributes:
        step: Number of completed updates, int32.
        key: Data of the base random key, from which step keys are derived. An input rather than a
            constant, so that runs with different seeds share a compiled step.
        params: Parameters of the model, float32.
        opt_state: State of the optimizer.
        non_finite: True after a loss or gradient that is not finite, bool. The update that caused
            it and all later ones leave everything else unchanged.
        model_state: State of the model besides its parameters, such as running statistics; {} for
            most models.
        ema_params: Moving average of the parameters, or of some of their groups; {} if disabled.
    """

    step: jax.Array
    key: jax.Array
    params: Params
    opt_state: optax.OptState
    non_finite: jax.Array
    model_state: Params = struct.field(default_factory=dict)
    ema_params: Params = struct.field(default_factory=dict)

    @classmethod
    def start(
        cls,
        key: jax.Array,
        params: Params,
        optimizer: optax.GradientTransformation,
        model_state: Params | None = None,
        averaged: Sequence[str] = (),
    ) -> "TrainState":
        """Construct the initial state from a random key and parameters.

        Args:
            key: Random key of the run.
            params: Initial parameters.
            optimizer: Optimizer of the run.
            model_state: Initial model state.
            averaged: Top-level groups of the parameters whose moving average is kept.
        """
        return cls(
            step=jnp.zeros((), jnp.int32),
            key=jax.random.key_data(key),
            params=params,
            opt_state=optimizer.init(params),
            non_finite=jnp.zeros((), bool),
            model_state=model_state or {},
            ema_params=jax.tree.map(jnp.copy, {name: params[name] for name in averaged}),
        )

    def step_key(self) -> jax.Array:
        """Return the random key of the next step."""
        return jax.random.fold_in(jax.random.wrap_key_data(self.key), self.step)

    @property
    def eval_params(self) -> Params:
        """The average of the parameters if enabled, else the parameters."""
        return self.ema_params or self.params


def apply_gradients(
    state: TrainState,
    optimizer: optax.GradientTransformation,
    gradient: Params,
    loss: jax.Array,
    *,
    model_state: Params | None = None,
    ema_decay: float = 0.0,
) -> tuple[TrainState, Metrics]:
    """Apply one update, or none if the loss or the gradient is not finite.

    Args:
        state: State before the update.
        optimizer: Optimizer of the run.
        gradient: Gradient of the loss, shaped like the parameters.
        loss: Scalar loss.
        model_state: Model state after this step; None if the model has none.
        ema_decay: Decay of ``state.ema_params``; smaller in early steps, to forget the
            initialization.

    Returns:
        The state after the update; 'gradient_norm' float32 and 'non_finite' bool.
    """
    gradient_norm = optax.tree.norm(gradient)
    updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    step = state.step + 1
    decay = jnp.minimum(ema_decay, (1 + step) / (10 + step))
    updated = TrainState(
        step=step,
        key=state.key,
        params=params,
        opt_state=opt_state,
        non_finite=jnp.zeros((), bool),
        model_state=state.model_state if model_state is None else model_state,
        ema_params=jax.tree.map(
            # In this form the average of a constant is exact.
            lambda mean, new: mean + (1 - decay) * (new - mean),
            state.ema_params,
            {name: params[name] for name in state.ema_params},
        ),
    )
    non_finite = state.non_finite | ~(jnp.isfinite(loss) & jnp.isfinite(gradient_norm))
    kept = state.replace(non_finite=non_finite)
    state = jax.tree.map(lambda new, old: jnp.where(non_finite, old, new), updated, kept)
    return state, {"gradient_norm": gradient_norm, "non_finite": non_finite}

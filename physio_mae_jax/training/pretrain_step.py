"""The pre-training step: a pure function of state and batch."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from physio_mae_jax.models.window_batch import CHANNEL_ENTRIES
from physio_mae_jax.objectives.contrastive import (
    NUM_MODALITIES,
    ContrastiveConfig,
    contrastive_pretraining_loss,
    split_modalities,
)
from physio_mae_jax.objectives.latent_targets import latent_loss
from physio_mae_jax.objectives.masking import Mask, draw_mask, predict_share
from physio_mae_jax.objectives.pretraining import (
    Batch,
    MaskedModel,
    ObjectiveConfig,
    forward,
    pretraining_loss,
    reconstruction_loss,
    validation_errors,
)
from physio_mae_jax.training.model_spec import init_params
from physio_mae_jax.training.sharding import (
    batch_sharding,
    compile_update,
    mean_over_devices,
    replicated,
    with_mesh,
)
from physio_mae_jax.training.state import Metrics, TrainState, apply_gradients
from physio_mae_jax.types import Params, PyTree

# Entries of a batch that are copied to the device; the others name its windows for reports.
MODEL_INPUTS = (*CHANNEL_ENTRIES, "subject")
_ENCODER = "encoder"
_SHARE_KEY = 1  # folded into the key of a step's mask, for the columns that it predicts


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainSpec:
    """Fixed components of a training step.

    With ``contrastive`` the model is a ``ContrastiveAutoencoder`` and each window of two
    modalities becomes two examples; without, a window is an example.
    """

    model: MaskedModel
    objective: ObjectiveConfig
    contrastive: ContrastiveConfig | None = None
    optimizer: optax.GradientTransformation
    learning_rate: optax.Schedule
    accumulation_steps: int

    def examples(self, batch: Batch) -> Batch:
        """Return the model's examples for a batch of windows."""
        return batch if self.contrastive is None else split_modalities(batch)

    def mask(self, key: jax.Array, examples: Batch) -> Mask:
        """Sample the masks of a batch of examples."""
        size, channels = examples["channel_mask"].shape
        return draw_mask(key, size, channels, self.model.config, self.objective.mask)

    def training_mask(self, key: jax.Array, examples: Batch) -> Mask:
        """Sample the masks of a training step, which predicts ``objective.predicted_share``."""
        mask = self.mask(key, examples)
        chosen = jax.random.fold_in(key, _SHARE_KEY)
        return predict_share(chosen, mask, self.objective.predicted_share)

    def loss(
        self, params: Params, teacher: Params, examples: Batch, mask: Mask
    ) -> tuple[jax.Array, Metrics]:
        """Return the loss of examples and its components.

        Args:
            params: Parameters of the model.
            teacher: Parameters of the teacher's encoder; {} without ``objective.latent_weight``.
            examples: Examples of ``examples``.
            mask: Their mask.
        """
        if self.contrastive is not None:
            return contrastive_pretraining_loss(
                self.model, self.objective, self.contrastive, params, examples, mask
            )
        if not teacher:
            return pretraining_loss(self.model, self.objective, params, examples, mask)
        result = forward(self.model, self.objective, params, examples, mask)
        loss, parts = reconstruction_loss(self.model.config, self.objective, result)
        latent = latent_loss(self.model, teacher, examples, result)
        loss = loss + self.objective.latent_weight * latent
        return loss, parts | {"loss": loss, "latent_loss": latent}


def init_state(spec: PretrainSpec, key: jax.Array) -> TrainState:
    """Initialize parameters and optimizer; jit it with shardings, or use ``jax.eval_shape``."""
    channels = NUM_MODALITIES if spec.contrastive is None else spec.contrastive.channels_together
    params = init_params(spec.model, spec.objective.mask, key, channels)
    averaged = (_ENCODER,) if spec.objective.latent_weight else ()
    return TrainState.start(key, params, spec.optimizer, averaged=averaged)


def train_step(spec: PretrainSpec, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    """Apply one update.

    Returns:
        The new state; the components of ``PretrainSpec.loss``, 'gradient_norm' and 'learning_rate'
        as float32 scalars, and bool 'non_finite'.
    """
    params = (state.params, state.ema_params)
    gradient, metrics = _mean_gradient(spec, params, batch, state.step_key())
    rate = jnp.asarray(spec.learning_rate(state.step), jnp.float32)
    state, outcome = apply_gradients(
        state,
        spec.optimizer,
        gradient,
        metrics["loss"],
        ema_decay=spec.objective.teacher_decay,
    )
    return state, metrics | outcome | {"learning_rate": rate}


def _mean_gradient(
    spec: PretrainSpec, params: tuple[Params, Params], batch: Batch, key: jax.Array
) -> tuple[Params, Metrics]:
    """Average gradient and losses over the windows of a batch.

    ``params`` are those of the model and of the teacher, see ``PretrainSpec.loss``.
    """
    examples = spec.examples({name: batch[name] for name in MODEL_INPUTS})
    mask = spec.training_mask(key, examples)
    gradient = functools.partial(_accumulated_gradient, spec)
    if spec.contrastive is None:
        return mean_over_devices(gradient, params, (examples, mask))
    # Negatives come from the windows of all devices, so the compiler must see the global batch.
    return gradient(params, (examples, mask))


def _accumulated_gradient(
    spec: PretrainSpec, params: tuple[Params, Params], examples_and_mask: tuple[Batch, Mask]
) -> tuple[Params, Metrics]:
    """Average gradient and losses over the micro-batches of examples and their masks."""
    differentiate = jax.grad(spec.loss, has_aux=True)
    if spec.accumulation_steps == 1:
        return differentiate(*params, *examples_and_mask)

    def add_micro_batch(total: PyTree, micro: tuple[Batch, Mask]) -> tuple[PyTree, None]:
        result = differentiate(*params, *micro)
        return jax.tree.map(jnp.add, total, result), None

    group = 1 if spec.contrastive is None else NUM_MODALITIES
    micro_batches = jax.tree.map(
        lambda values: _split_interleaved(values, group, spec.accumulation_steps), examples_and_mask
    )
    shapes = jax.eval_shape(
        lambda first: differentiate(*params, *first),
        jax.tree.map(lambda values: values[0], micro_batches),
    )
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    total, _ = jax.lax.scan(add_micro_batch, zeros, micro_batches)
    return jax.tree.map(lambda values: values / spec.accumulation_steps, total)


def _split_interleaved(values: jax.Array, group: int, parts: int) -> jax.Array:
    """Split [B, …] into [parts, B / parts, …], micro-batch i taking every parts-th window.

    Contiguous parts would be on a few devices each; interleaving avoids moving examples. The
    ``group`` examples of a window stay together.
    """
    rest = values.shape[1:]
    by_window = values.reshape(-1, parts, group, *rest)
    return jnp.moveaxis(by_window, 1, 0).reshape(parts, -1, *rest)


def evaluation_step(spec: PretrainSpec, params: Params, batch: Batch, key: jax.Array) -> Metrics:
    """Sum the errors of model and baselines over a validation batch.

    Returns:
        Entries of ``validation_errors`` as sums weighted by batch['weight'], and 'weight', the
        sum of the weights.
    """
    examples = spec.examples(batch)
    mask = spec.mask(key, examples)
    errors = validation_errors(spec.model, spec.objective, params, examples, mask)
    weight = examples["weight"]
    sums = {name: (values * weight).sum() for name, values in errors.items()}
    return sums | {"weight": weight.sum()}


def compile_train_step(
    spec: PretrainSpec, mesh: Mesh
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """Jit ``train_step`` over a mesh; the state passed in is donated."""
    options = spec.model.config.compiler_options
    return compile_update(functools.partial(train_step, spec), mesh, options)


def compile_evaluation_step(
    spec: PretrainSpec, mesh: Mesh
) -> Callable[[Params, Batch, jax.Array], Metrics]:
    """Jit ``evaluation_step`` over a mesh."""
    return jax.jit(
        with_mesh(functools.partial(evaluation_step, spec), mesh),
        in_shardings=(None, batch_sharding(mesh), replicated(mesh)),
        out_shardings=replicated(mesh),
    )

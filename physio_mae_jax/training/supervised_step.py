"""The supervised training step: a pure function of state and batch."""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from physio_mae_jax.models.residual import DROP_PATH
from physio_mae_jax.models.window_batch import CHANNEL_ENTRIES, Windows
from physio_mae_jax.objectives.auxiliary import AuxiliaryOutputs, auxiliary_loss
from physio_mae_jax.objectives.supervised import (
    ProblemType,
    SupervisedConfig,
    mix_windows,
    supervised_losses,
)
from physio_mae_jax.training.lora import ADAPTERS, LoraConfig, init_adapters, merge_adapters
from physio_mae_jax.training.sharding import batch_sharding, compile_update, replicated, with_mesh
from physio_mae_jax.training.state import Metrics, TrainState, apply_gradients
from physio_mae_jax.types import FlaxModel, Params

Batch = Mapping[str, jax.Array]

# Entries of a batch that are copied to the device.
SUPERVISED_INPUTS = (*CHANNEL_ENTRIES, "target")
AUXILIARY = "auxiliary"
_ENCODER, _OUTPUT = "encoder", "output"
# Of two mixed windows both must be known, up to rounding.
_KNOWN = 0.999
# ``heads.classifier.Classifier`` or a convolutional one: logits [B, Y] of ``Windows``; or
# ``heads.segmenter.Segmenter``: logits [B, M, L, Y].
SupervisedModel = FlaxModel


@dataclasses.dataclass(frozen=True, kw_only=True)
class SupervisedSpec:
    """Fixed components of a training step.

    Attributes:
        model: Model that returns logits.
        kind: Problem type.
        objective: Settings of the loss.
        class_weights: Weights of the classes [Y].
        margin_on_labels: True if the model adds a margin to the true class in training (ArcFace)
            and therefore receives the labels.
        frozen_encoder: True if parameters under 'encoder' are not differentiated.
        ema_decay: Decay of the moving average of the parameters; 0 disables it.
        optimizer, learning_rate: Optimizer of the run and its learning-rate schedule.
        training_model: Model that is trained, if it has other outputs than ``model``: those of
            ``auxiliary`` after its own.
        auxiliary: Outputs of an auxiliary task.
        lora: Adapters of the encoder, which is then frozen.
    """

    model: SupervisedModel
    kind: ProblemType
    objective: SupervisedConfig
    class_weights: np.ndarray
    margin_on_labels: bool
    frozen_encoder: bool
    ema_decay: float
    optimizer: optax.GradientTransformation
    learning_rate: optax.Schedule
    training_model: SupervisedModel | None = None
    auxiliary: AuxiliaryOutputs | None = None
    lora: LoraConfig = dataclasses.field(default_factory=LoraConfig)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Entries of a batch that are copied to the device."""
        return (*SUPERVISED_INPUTS, AUXILIARY) if self.auxiliary else SUPERVISED_INPUTS

    def init_variables(
        self, key: jax.Array, window_shape: tuple[int, int]
    ) -> tuple[Params, Params]:
        """Initialize the trained parameters and the model state, see ``init_variables``."""
        return init_training(self.training_model or self.model, self.lora, key, window_shape)

    @property
    def has_final_params(self) -> bool:
        """Whether the parameters of ``model`` differ from those that are trained."""
        return bool(self.auxiliary or self.lora.rank)

    def final_params(self, params: Params) -> Params:
        """Return the parameters of ``model`` from those that are trained."""
        params = with_adapters_merged(params, self.lora)
        if self.auxiliary:
            kept = -self.auxiliary.num_outputs
            output = {name: leaf[..., :kept] for name, leaf in params[_OUTPUT].items()}
            params = params | {_OUTPUT: output}
        return params


def supervised_step(
    spec: SupervisedSpec, state: TrainState, batch: Batch
) -> tuple[TrainState, Metrics]:
    """Apply one update.

    Args:
        spec: Components fixed for the run.
        state: State before the update.
        batch: Entries of ``spec.inputs``: signal [B, M, L], channel_mask [B, M],
            channel_ids [B, M], target [B, Y], or [B, M, L] for 'segmentation', auxiliary [B, A].

    Returns:
        The state after the update; 'loss', 'gradient_norm', 'learning_rate' float32, 'non_finite'
        bool; with an auxiliary task its 'auxiliary_loss', which 'loss' contains.
    """
    key = state.step_key()
    trained, frozen = _split_frozen(spec, state.params)

    def mean_loss(trained: Params) -> tuple[jax.Array, tuple[Params, Metrics]]:
        return _loss(spec, trained | frozen, state.model_state, batch, key)

    (loss, (model_state, parts)), gradient = jax.value_and_grad(mean_loss, has_aux=True)(trained)
    # The optimizer needs a gradient for every parameter; frozen ones have zero gradients.
    gradient = gradient | jax.tree.map(jnp.zeros_like, frozen)
    rate = jnp.asarray(spec.learning_rate(state.step), jnp.float32)
    state, outcome = apply_gradients(
        state,
        spec.optimizer,
        gradient,
        loss,
        model_state=model_state,
        ema_decay=spec.ema_decay,
    )
    return state, {"loss": loss, **parts, "learning_rate": rate} | outcome


def _split_frozen(spec: SupervisedSpec, params: Params) -> tuple[Params, Params]:
    """Split the parameters into trainable and frozen ones."""
    if not spec.frozen_encoder:
        return params, {}
    trained = {name: part for name, part in params.items() if name != _ENCODER}
    return trained, {_ENCODER: params[_ENCODER]}


def _loss(
    spec: SupervisedSpec, params: Params, model_state: Params, batch: Batch, key: jax.Array
) -> tuple[jax.Array, tuple[Params, Metrics]]:
    """Return the mean loss of a batch, the new model state, and parts of the loss."""
    mix_key, dropout_key = jax.random.split(key)
    signal, target = batch["signal"], _all_targets(spec, batch)
    if spec.objective.mixup:
        signal, target = mix_windows(
            mix_key, signal, batch["channel_mask"], target, spec.objective.mixup
        )
    if spec.kind == "segmentation":
        target = jnp.where(batch["channel_mask"][:, :, None], target, -1)
    labels = jnp.argmax(target, axis=-1) if spec.margin_on_labels else None
    logits, new_model_state = (spec.training_model or spec.model).apply(
        {"params": with_adapters_merged(params, spec.lora), **model_state},
        Windows.of(batch)._replace(signal=signal),
        labels=labels,
        train=True,
        rngs={"dropout": dropout_key, DROP_PATH: jax.random.fold_in(dropout_key, 1)},
        mutable=list(model_state),
    )
    parts: Metrics = {}
    if spec.auxiliary:
        count = len(spec.class_weights)
        known = target[:, -1] > _KNOWN
        extra = auxiliary_loss(
            *(logits[:, count:], target[:, count:-1], known, spec.auxiliary, spec.objective)
        )
        logits, target, parts = logits[:, :count], target[:, :count], {"auxiliary_loss": extra}
    losses = supervised_losses(
        logits, target, spec.kind, jnp.asarray(spec.class_weights), spec.objective
    )
    loss = losses.mean()
    if spec.auxiliary:
        loss = loss + spec.auxiliary.weight * parts["auxiliary_loss"]
    return loss, (new_model_state, parts)


def _all_targets(spec: SupervisedSpec, batch: Batch) -> jax.Array:
    """Return the targets [B, Y], or [B, Y + A + 1] with those of an auxiliary task.

    The last one is whether the auxiliary label is known; mixup mixes them all alike.
    """
    if not spec.auxiliary:
        return batch["target"]
    known = (batch[AUXILIARY] >= 0).all(axis=-1, keepdims=True)
    auxiliary = jnp.where(known, batch[AUXILIARY], 0.0)
    return jnp.concatenate([batch["target"], auxiliary, known.astype(auxiliary.dtype)], axis=-1)


def init_variables(
    model: SupervisedModel, key: jax.Array, window_shape: tuple[int, int]
) -> tuple[Params, Params]:
    """Initialize the parameters and model state for windows (M, L)."""
    channels, samples = window_shape
    keys = jax.random.split(key)
    # Two examples, since the unbiased variance in batch normalization divides by n - 1.
    variables = model.init(
        {"params": keys[0], "dropout": keys[1]}, Windows.blank(2, channels, samples)
    )
    model_state = {name: part for name, part in variables.items() if name != "params"}
    return variables["params"], model_state


def init_training(
    model: SupervisedModel, lora: LoraConfig, key: jax.Array, window_shape: tuple[int, int]
) -> tuple[Params, Params]:
    """Initialize a model as ``init_variables`` does, and the adapters of its encoder, if any."""
    params, model_state = init_variables(model, key, window_shape)
    if lora.rank:
        adapters = init_adapters(params[_ENCODER], lora, jax.random.fold_in(key, 2))
        params = params | {ADAPTERS: adapters}
    return params, model_state


def with_adapters_merged(params: Params, lora: LoraConfig) -> Params:
    """Return the parameters of a model from those in training, which may have adapters."""
    if ADAPTERS not in params:
        return params
    rest = {name: part for name, part in params.items() if name != ADAPTERS}
    return rest | {_ENCODER: merge_adapters(params[_ENCODER], params[ADAPTERS], lora)}


def predict(
    model: SupervisedModel, kind: ProblemType, params: Params, model_state: Params, batch: Batch
) -> jax.Array:
    """Return the logits [B, Y] float32 of windows; for 'segmentation' the classes of their samples.

    Returns:
        [B, Y] float32; or [B, M, L] int8, the most probable class, -1 in absent channels.
    """
    logits: jax.Array = model.apply(
        {"params": params, **model_state}, Windows.of(batch), train=False
    )
    if kind != "segmentation":
        return logits
    classes = jnp.argmax(logits, axis=-1).astype(jnp.int8)
    return jnp.where(batch["channel_mask"][:, :, None], classes, jnp.int8(-1))


def compile_supervised_step(
    spec: SupervisedSpec, mesh: Mesh
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """Jit ``supervised_step`` over a mesh; the state passed in is donated."""
    return compile_update(functools.partial(supervised_step, spec), mesh)


def compile_prediction(
    model: SupervisedModel, kind: ProblemType, mesh: Mesh
) -> Callable[[Params, Params, Batch], jax.Array]:
    """Jit ``predict`` over a mesh."""
    return jax.jit(
        with_mesh(functools.partial(predict, model, kind), mesh),
        in_shardings=(None, None, batch_sharding(mesh)),
        out_shardings=replicated(mesh),
    )

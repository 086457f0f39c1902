"""Supervised training for the loop: the step, validation, and the best model."""

import dataclasses
import functools
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from physio_mae_jax import atomic_files
from physio_mae_jax.data.contamination import TrainingProvenance
from physio_mae_jax.data.instances import Instances
from physio_mae_jax.data.json_types import check_types
from physio_mae_jax.data.sealed_json import add_seal, read_sealed
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.plots.curves import draw_supervised_curves
from physio_mae_jax.training.checkpoint import Checkpoints
from physio_mae_jax.training.evaluation_result import EvaluationResult
from physio_mae_jax.training.init_transform import InitTransform
from physio_mae_jax.training.lora import ADAPTERS, describe_adapters
from physio_mae_jax.training.metrics_file import read_metrics
from physio_mae_jax.training.prediction import predict_instances
from physio_mae_jax.training.sharding import fsdp_sharding, initialize_state, replicated, shard
from physio_mae_jax.training.state import TrainState
from physio_mae_jax.training.supervised_step import (
    Batch,
    SupervisedModel,
    SupervisedSpec,
    compile_prediction,
    compile_supervised_step,
    init_variables,
)
from physio_mae_jax.training.trainable import Step
from physio_mae_jax.types import JsonObject, Params

_LOG = logging.getLogger(__name__)

_ENCODER = "encoder"
BEST = "best"


class _StoredBest(TypedDict):
    """The content of ``best/metric.json``."""

    step: int
    metric: str
    value: float


@dataclasses.dataclass
class BestSoFar:
    """Step and metric of the best model; identical on every process."""

    step: int = 0
    value: float = -math.inf

    @classmethod
    def read(cls, path: Path) -> "BestSoFar":
        """Read the best step and metric of an earlier run, if any."""
        if not path.is_file():
            return cls()
        hint = "move it; the best model is then selected from this step on."
        content = check_types(_StoredBest, read_sealed(path, hint), str(path), hint)
        return cls(content["step"], content["value"])

    def is_improved_by(self, value: float) -> bool:
        """Return whether a value is better; NaN never is."""
        return value > self.value


@dataclasses.dataclass(frozen=True, kw_only=True)
class SupervisedTrainable:
    """Training on labels; a ``trainable.Trainable``.

    Attributes:
        workdir: Absolute path of the run; its folder 'best' contains the best model on validation.
        spec: Model, loss and optimizer.
        mesh: Device mesh the batch is sharded over.
        window_shape: Shape (M, L) of the windows.
        encoder: Initial parameters of the encoder; None for random initialization.
        reader: Reader of the windows.
        validation: Instances for selecting the best model.
        metric: Metric to maximize, from predictions and targets, see ``predict``.
        metric_name: Name of the metric.
        batch_size: Batch size of predictions.
        num_threads: Number of prefetching threads.
        patience_steps: Early stopping: steps without improvement before training stops; 0 disables.
        model_spec, trained_on: Model spec and training-data hashes, stored with the best model.
    """

    workdir: Path
    spec: SupervisedSpec
    mesh: Mesh
    window_shape: tuple[int, int]
    encoder: InitTransform | None
    reader: WindowReader
    validation: Instances
    metric: Callable[[np.ndarray, np.ndarray], float]
    metric_name: str
    batch_size: int
    num_threads: int
    patience_steps: int
    model_spec: JsonObject
    trained_on: TrainingProvenance

    @property
    def inputs(self) -> tuple[str, ...]:
        """Entries of a batch that are copied to the devices."""
        return self.spec.inputs

    def init_state(self, key: jax.Array) -> TrainState:
        """Initialize a state."""
        params, model_state = self.spec.init_variables(key, self.window_shape)
        return TrainState.start(
            key,
            params,
            self.spec.optimizer,
            model_state,
            averaged=tuple(params) if self.spec.ema_decay else (),
        )

    def start(self, key: jax.Array, mesh: Mesh) -> TrainState:
        """Initialize a state on the devices of a mesh, with the given encoder."""
        state = initialize_state(self.init_state, key, mesh)
        if self.encoder is None:
            return state
        # Copied by ``shard``, since a step donates its state and other runs may use the same
        # encoder.
        new = state.params[_ENCODER]
        merged = self.encoder.merge_into(new)
        for note in merged.notes():
            _LOG.info("%d channels: %s", self.window_shape[0], note)
        encoder = jax.tree.map(
            lambda leaf, fresh, sharding: fresh if leaf is fresh else shard(leaf, sharding),
            *(merged.params, new, fsdp_sharding(new, mesh)),
        )
        if ADAPTERS in state.params:
            _LOG.info("%s", describe_adapters(state.params))
        ema_params = state.ema_params
        if ema_params:
            ema_params = ema_params | {_ENCODER: jax.tree.map(jnp.copy, encoder)}
        return state.replace(params=state.params | {_ENCODER: encoder}, ema_params=ema_params)

    def compile_step(self, mesh: Mesh) -> Step:
        """Compile the update."""
        return compile_supervised_step(self.spec, mesh)

    def format_losses(self, metrics: dict[str, float]) -> str:
        """Format the loss of a step."""
        return f"loss {metrics['loss']:.4f}"

    def predict(self, params: Params, model_state: Params, instances: Instances) -> np.ndarray:
        """Predict instances: logits [U, Y] float64, averaged over the windows of each.

        For segmentation the classes [n, M, L] int8 of the samples of each window.
        """
        return predict_instances(
            lambda batch: self._predict(params, model_state, batch),
            self.reader,
            instances,
            self.mesh,
            self.batch_size,
            self.num_threads,
        )

    @functools.cached_property
    def _predict(self) -> Callable[[Params, Params, Batch], jax.Array]:
        return compile_prediction(self.spec.model, self.spec.kind, self.mesh)

    @functools.cached_property
    def _final_params(self) -> Callable[[Params], Params]:
        return jax.jit(self.spec.final_params) if self.spec.has_final_params else lambda p: p

    @functools.cached_property
    def _validation_targets(self) -> np.ndarray:
        return self.validation.evaluation_targets()

    def evaluate(self, state: TrainState, step: int) -> EvaluationResult | None:
        """Evaluate the model on validation, and save it if it is the best."""
        if step == 0:
            return None
        params = self._final_params(state.eval_params)
        predicted = self.predict(params, state.model_state, self.validation)
        value = self.metric(predicted, self._validation_targets)
        if self.best.is_improved_by(value):
            self._save_best({"params": params, "model_state": state.model_state}, step, value)
        line = (
            f"step {step}  validation {self.metric_name} {value:.4f}, best {self.best.value:.4f} "
            f"after step {self.best.step}"
        )
        return EvaluationResult("validation", {self.metric_name: value}, [line])

    def should_stop(self, step: int) -> bool:
        """Return whether the metric has not improved within the patience."""
        return bool(self.patience_steps) and step - self.best.step >= self.patience_steps

    @functools.cached_property
    def best(self) -> "BestSoFar":
        """The model saved as the best, also by an earlier run in the same folder."""
        return BestSoFar.read(self._metric_path)

    @property
    def _metric_path(self) -> Path:
        return self.workdir / BEST / "metric.json"

    def _save_best(self, model: dict[str, Params], step: int, value: float) -> None:
        with Checkpoints(self.workdir / BEST, keep=1) as checkpoints:
            # A run resumed from before its best step may find a better model at an earlier step,
            # but Orbax loads the largest number. The actual step is recorded in the metric file.
            number = max(step, (checkpoints.latest_step or 0) + 1)
            checkpoints.save(number, model, self.model_spec, self.trained_on)
        self.best.step, self.best.value = step, value
        if jax.process_index() == 0:
            content = {"step": step, "metric": self.metric_name, "value": value}
            atomic_files.write_json(self._metric_path, add_seal(content))

    def plot_learning_curves(self) -> None:
        """Plot loss and validation metric from metrics.jsonl."""
        atomic_files.write_figure(
            self.workdir / "plots" / "learning_curves.png",
            lambda: draw_supervised_curves(read_metrics(self.workdir), self.metric_name),
        )


def load_best(
    workdir: Path,
    model: SupervisedModel,
    window_shape: tuple[int, int],
    mesh: Mesh,
    num_channels: int | None = None,
) -> tuple[Params, Params]:
    """Load the best parameters on validation, and the model state.

    Args:
        workdir: Work folder of the run.
        model: Model that the run trained.
        window_shape: Shape (M, L) of the training windows.
        mesh: Device mesh the parameters are loaded onto.
        num_channels: Number of channels of the windows to predict; None for M. A single-channel
            model encodes several channels independently: attention across channels adds 0.

    Raises:
        UserError: There is no such checkpoint, or it belongs to another model.
    """
    shapes = jax.eval_shape(lambda: init_variables(model, jax.random.key(0), window_shape))
    with Checkpoints(workdir / BEST, keep=1) as checkpoints:
        loaded = checkpoints.parts({"params": shapes[0], "model_state": shapes[1]})
    params = loaded["params"]
    if num_channels not in (None, window_shape[0]) and _ENCODER in params:
        params = _adapt_channels(params, model, window_shape, num_channels)
    loaded = shard({**loaded, "params": params}, replicated(mesh))
    return loaded["params"], loaded["model_state"]


def _adapt_channels(
    params: Params, model: SupervisedModel, window_shape: tuple[int, int], num_channels: int
) -> Params:
    """Adapt the encoder's parameters to windows with another number of channels."""
    trained_channels, num_samples = window_shape
    new, _ = jax.jit(lambda key: init_variables(model, key, (num_channels, num_samples)))(
        jax.random.key(0)
    )
    merged = InitTransform(params[_ENCODER], trained_channels == 1).merge_into(new[_ENCODER])
    for note in merged.notes():
        _LOG.info("trained on %d channels, %d given: %s", trained_channels, num_channels, note)
    return params | {_ENCODER: merged.params}

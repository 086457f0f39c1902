"""Learning from labels as the loop sees it: the step, validation, and the best model so far."""

import dataclasses
import functools
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from physio_mae_jax.data.contamination import TrainingProvenance
from physio_mae_jax.data.instances import Units
from physio_mae_jax.data.json_types import typed
from physio_mae_jax.data.sealed_json import read_sealed, sealed
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.plots.curves import draw_supervised_curves
from physio_mae_jax.training import atomic_files
from physio_mae_jax.training.checkpoint import Checkpoints
from physio_mae_jax.training.evaluation_result import Judgement
from physio_mae_jax.training.init_transform import InitTransform
from physio_mae_jax.training.metrics_file import read_metrics
from physio_mae_jax.training.prediction import predict_units
from physio_mae_jax.training.sharding import fsdp_sharding, initialise, put, replicated
from physio_mae_jax.training.state import Params, TrainState
from physio_mae_jax.training.supervised_step import (
    SUPERVISED_INPUTS,
    SupervisedModel,
    SupervisedTask,
    compile_prediction,
    compile_supervised_step,
    init_variables,
)
from physio_mae_jax.training.trainable import Step

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
    """After which step a model was best, and its metric; every process keeps the same."""

    step: int = 0
    value: float = -math.inf

    @classmethod
    def read(cls, path: Path) -> "BestSoFar":
        """Read what an earlier run wrote, if any did."""
        if not path.is_file():
            return cls()
        way_out = "move it away, so that the best model is chosen anew from here on."
        content = typed(_StoredBest, read_sealed(path, way_out), str(path), way_out)
        return cls(content["step"], content["value"])

    def is_beaten_by(self, value: float) -> bool:
        """Say whether a value is better; one that is not a number is not."""
        return value > self.value


@dataclasses.dataclass(frozen=True, kw_only=True)
class SupervisedJob:
    """Train a classifier or regressor; a ``job.Job``.

    Attributes:
        workdir: absolute folder; its folder 'best' keeps the model best on validation.
        task: model, loss and optimizer.
        mesh: of devices.
        window_shape: (M, L) of the windows.
        encoder: what the encoder begins with; None for new parameters.
        reader: of windows.
        validation: units by which the best model is chosen.
        metric: from logits [U, K] and targets [U, K] to what is to grow.
        metric_name: of it.
        batch_size: windows predicted at a time.
        num_threads: that read ahead.
        patience_steps: training ends where nothing has got better for so long; 0 for never.
        contract, trained_on: kept with the best model.
    """

    workdir: Path
    task: SupervisedTask
    mesh: Mesh
    window_shape: tuple[int, int]
    encoder: InitTransform | None
    reader: WindowReader
    validation: Units
    metric: Callable[[np.ndarray, np.ndarray], float]
    metric_name: str
    batch_size: int
    num_threads: int
    patience_steps: int
    contract: dict[str, Any]
    trained_on: TrainingProvenance

    @property
    def inputs(self) -> tuple[str, ...]:
        """Entries of a batch that go to the devices."""
        return SUPERVISED_INPUTS

    def init_state(self, key: jax.Array) -> TrainState:
        """Make a new state."""
        params, model_state = init_variables(self.task.model, key, self.window_shape)
        return TrainState.start(
            key,
            params,
            self.task.optimizer,
            model_state,
            keeps_average=self.task.ema_decay > 0,
        )

    def start(self, key: jax.Array, mesh: Mesh) -> TrainState:
        """Make a new state on the devices of a mesh, with the encoder that is given."""
        state = initialise(self.init_state, key, mesh)
        if self.encoder is None:
            return state
        # Copied by ``put``: a step takes over the memory of its state, and others may begin with
        # the same encoder.
        new = state.params[_ENCODER]
        merged = self.encoder.merged(new)
        for note in merged.notes():
            _LOG.info("%d channels: %s", self.window_shape[0], note)
        encoder = jax.tree.map(
            lambda leaf, fresh, place: fresh if leaf is fresh else put(leaf, place),
            *(merged.params, new, fsdp_sharding(new, mesh)),
        )
        average = state.average
        if average:
            average = average | {_ENCODER: jax.tree.map(jnp.copy, encoder)}
        return state.replace(params=state.params | {_ENCODER: encoder}, average=average)

    def compile_step(self, mesh: Mesh) -> Step:
        """Compile the update."""
        return compile_supervised_step(self.task, mesh)

    def format_losses(self, metrics: dict[str, float]) -> str:
        """Word the loss of a step."""
        return f"loss {metrics['loss']:.4f}"

    def predict(self, params: Params, model_state: Any, units: Units) -> np.ndarray:
        """Predict units: logits [U, K] float64, averaged over the windows of each."""
        return predict_units(
            lambda batch: self._predict(params, model_state, batch),
            self.reader,
            units,
            self.mesh,
            self.batch_size,
            self.num_threads,
        )

    @functools.cached_property
    def _predict(self) -> Any:
        return compile_prediction(self.task.model, self.mesh)

    def judge(self, state: TrainState, step: int) -> Judgement | None:
        """Measure the model on validation, and keep it if it is the best so far."""
        if step == 0:
            return None
        logits = self.predict(state.best_params, state.model_state, self.validation)
        value = self.metric(logits, self.validation.targets)
        if self.best.is_beaten_by(value):
            self._keep(state, step, value)
        line = (
            f"step {step}  validation {self.metric_name} {value:.4f}, best {self.best.value:.4f} "
            f"after step {self.best.step}"
        )
        return Judgement("validation", {self.metric_name: value}, [line])

    def should_stop(self, step: int) -> bool:
        """Say whether nothing has got better for as long as patience goes."""
        return bool(self.patience_steps) and step - self.best.step >= self.patience_steps

    @functools.cached_property
    def best(self) -> "BestSoFar":
        """The model kept as the best, also by an earlier run in the same folder."""
        return BestSoFar.read(self._metric_path)

    @property
    def _metric_path(self) -> Path:
        return self.workdir / BEST / "metric.json"

    def _keep(self, state: TrainState, step: int, value: float) -> None:
        with Checkpoints(self.workdir / BEST, keep=1) as checkpoints:
            model = {"params": state.best_params, "model_state": state.model_state}
            # A run that went on from before its best step may be better at an earlier one, and only
            # the largest number counts. The step itself stands beside.
            number = max(step, (checkpoints.latest_step or 0) + 1)
            checkpoints.save(number, model, self.contract, self.trained_on)
        self.best.step, self.best.value = step, value
        if jax.process_index() == 0:
            content = {"step": step, "metric": self.metric_name, "value": value}
            atomic_files.write_json(self._metric_path, sealed(content))

    def plot_learning_curves(self) -> None:
        """Draw loss and validation metric from metrics.jsonl."""
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
) -> tuple[Params, Any]:
    """Load the parameters that were best on validation, and what the model keeps beside them.

    Args:
        workdir: of the run.
        model: that it trained.
        window_shape: (M, L) that it was trained on.
        mesh: of devices.
        num_channels: of the windows it is to predict; None for M. A model of one channel takes
            the channels of others one by one: what they would exchange is 0.

    Raises:
        UserError: there is no such checkpoint, or it is of another model.
    """
    shapes = jax.eval_shape(lambda: init_variables(model, jax.random.key(0), window_shape))
    with Checkpoints(workdir / BEST, keep=1) as checkpoints:
        loaded = checkpoints.parts({"params": shapes[0], "model_state": shapes[1]})
    params = loaded["params"]
    if num_channels not in (None, window_shape[0]) and _ENCODER in params:
        params = _for_channels(params, model, window_shape, num_channels)
    loaded = put({**loaded, "params": params}, replicated(mesh))
    return loaded["params"], loaded["model_state"]


def _for_channels(
    params: Params, model: SupervisedModel, window_shape: tuple[int, int], num_channels: int
) -> Params:
    """Fit the encoder's parameters to windows of another number of channels than trained on."""
    trained_channels, num_samples = window_shape
    new, _ = jax.jit(lambda key: init_variables(model, key, (num_channels, num_samples)))(
        jax.random.key(0)
    )
    merged = InitTransform(params[_ENCODER], trained_channels == 1).merged(new[_ENCODER])
    for note in merged.notes():
        _LOG.info("trained on %d channels, %d given: %s", trained_channels, num_channels, note)
    return params | {_ENCODER: merged.params}

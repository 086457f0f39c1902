"""Interface between the loop and a kind of training."""

from collections.abc import Callable
from typing import Protocol

import jax
from jax.sharding import Mesh

from physio_mae_jax.training.evaluation_result import EvaluationResult
from physio_mae_jax.training.state import Metrics, TrainState

Step = Callable[[TrainState, dict[str, jax.Array]], tuple[TrainState, Metrics]]


class Trainable(Protocol):
    """A kind of training: ``PretrainTrainable`` or ``SupervisedTrainable``.

    Its methods are pure except ``evaluate`` and ``plot_learning_curves``.
    """

    @property
    def inputs(self) -> tuple[str, ...]:
        """Entries of a batch that are copied to the devices."""
        ...

    def init_state(self, key: jax.Array) -> TrainState:
        """Initialize a state; traceable, for its shapes."""
        ...

    def start(self, key: jax.Array, mesh: Mesh) -> TrainState:
        """Initialize the state of a new run on the devices of a mesh."""
        ...

    def compile_step(self, mesh: Mesh) -> Step:
        """Compile the update; the state passed in is donated."""
        ...

    def evaluate(self, state: TrainState, step: int) -> EvaluationResult | None:
        """Evaluate the model after ``step`` steps, and draw figures; None if not yet possible."""
        ...

    def should_stop(self, step: int) -> bool:
        """Return whether training stops early after ``step`` steps."""
        ...

    def plot_learning_curves(self) -> None:
        """Plot the metrics reported so far."""
        ...

    def format_losses(self, metrics: dict[str, float]) -> str:
        """Format the losses of a step."""
        ...

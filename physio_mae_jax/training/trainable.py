"""What the loop trains, as it sees it: ``pretrain_job.PretrainJob`` or ``supervised_job``'s."""

from collections.abc import Callable
from typing import Any, Protocol

import jax
from jax.sharding import Mesh

from physio_mae_jax.training.evaluation_result import Judgement
from physio_mae_jax.training.state import Metrics, TrainState

Step = Callable[[TrainState, Any], tuple[TrainState, Metrics]]


class Job(Protocol):
    """One kind of training; its parts are pure but for ``judge`` and ``plot_learning_curves``."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Entries of a batch that go to the devices."""
        ...

    def init_state(self, key: jax.Array) -> TrainState:
        """Make a state; traceable, for its shapes."""
        ...

    def start(self, key: jax.Array, mesh: Mesh) -> TrainState:
        """Make the state that a new run begins with, on the devices of a mesh."""
        ...

    def compile_step(self, mesh: Mesh) -> Step:
        """Compile the update; the state passed in is donated."""
        ...

    def judge(self, state: TrainState, step: int) -> Judgement | None:
        """Look at the model after ``step`` steps, and write pictures; None where not yet."""
        ...

    def should_stop(self, step: int) -> bool:
        """Say whether training ends after ``step`` steps, there being nothing more to gain."""
        ...

    def plot_learning_curves(self) -> None:
        """Draw the metrics reported so far."""
        ...

    def format_losses(self, metrics: dict[str, float]) -> str:
        """Word the losses of a step."""
        ...

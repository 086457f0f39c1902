"""How far into the training data a run is, so that any number of processes can go on from there."""

import dataclasses
import logging
from typing import Any

import grain
import jax

from physio_mae_jax.errors import ConfigError

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Progress:
    """What a checkpoint says of the data, and of what made it.

    Attributes:
        examples: of the order that were trained on, over all processes.
        batch_size: examples a step.
        processes, devices, fsdp: that the run had.
    """

    examples: int
    batch_size: int
    processes: int
    devices: int
    fsdp: int

    def after(self, steps: int) -> "Progress":
        """Return the progress so many steps later."""
        return dataclasses.replace(self, examples=self.examples + steps * self.batch_size)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        return dataclasses.asdict(self)


def restore_iterator(iterator: grain.DatasetIterator, saved: Progress, now: Progress) -> Progress:
    """Move a new iterator to the first example that was not trained on, and say what changed.

    A batch is the same whatever the number of processes, each of which makes one part of it; so the
    place of each process is the number of batches before.

    Args:
        iterator: of this process.
        saved: of the checkpoint.
        now: of this run at its start.

    Returns:
        The progress of this run.

    Raises:
        ConfigError: a batch of the size of this run does not begin at that example.
    """
    if saved.examples % now.batch_size:
        raise ConfigError(
            f"batch_size={now.batch_size}, but {saved.examples} examples were trained on in "
            f"batches of {saved.batch_size}, and no batch of the new size begins there; use "
            f"{saved.batch_size} or one that divides {saved.examples}."
        )
    iterator.set_state({"next_index": saved.examples // now.batch_size})
    resumed = dataclasses.replace(now, examples=saved.examples)
    if resumed != saved and jax.process_index() == 0:
        _LOG.warning(
            "saved with %s, going on with %s from example %d, none left out or repeated; sums are "
            "made in another order now, so figures may differ in their last digits.",
            *(_topology(saved), _topology(resumed), saved.examples),
        )
    return resumed


def _topology(progress: Progress) -> str:
    return (
        f"{progress.processes} process(es), {progress.devices} device(s), fsdp {progress.fsdp}, "
        f"batches of {progress.batch_size}"
    )

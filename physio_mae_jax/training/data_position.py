"""Position in the training data, from which any number of processes can resume."""

import dataclasses
import logging

import grain
import jax

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.types import JsonObject

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataPosition:
    """Position in the training data, and the batch and device layout that produced it.

    Attributes:
        examples: Number of examples trained on, over all processes.
        batch_size: Examples per step.
        processes, devices, fsdp: Number of processes and devices, and size of the 'fsdp' axis.
    """

    examples: int
    batch_size: int
    processes: int
    devices: int
    fsdp: int

    def after(self, steps: int) -> "DataPosition":
        """Return the position after the given number of further steps."""
        return dataclasses.replace(self, examples=self.examples + steps * self.batch_size)

    def to_json(self) -> JsonObject:
        """Return the JSON-able form."""
        return dataclasses.asdict(self)


def restore_iterator(
    iterator: grain.DatasetIterator, saved: DataPosition, now: DataPosition
) -> DataPosition:
    """Move a new iterator to the first example not trained on, and log what changed.

    A batch does not depend on the number of processes, each of which reads one part of it, so the
    position of each process is the number of previous batches.

    Args:
        iterator: Batch iterator of this process.
        saved: Position in the checkpoint.
        now: Position of this run at its start.

    Returns:
        Position of this run.

    Raises:
        ConfigError: no batch of this size begins at that example.
    """
    if saved.examples % now.batch_size:
        raise ConfigError(
            f"batch_size={now.batch_size}, but {saved.examples} examples were trained on in "
            f"batches of {saved.batch_size}, which is not a multiple of the new size; use "
            f"{saved.batch_size} or one that divides {saved.examples}."
        )
    iterator.set_state({"next_index": saved.examples // now.batch_size})
    resumed = dataclasses.replace(now, examples=saved.examples)
    if resumed != saved and jax.process_index() == 0:
        _LOG.warning(
            "saved with %s, resuming with %s from example %d, using each example exactly once; the "
            "order of summation differs, so results may differ in the last digits.",
            *(_topology(saved), _topology(resumed), saved.examples),
        )
    return resumed


def _topology(progress: DataPosition) -> str:
    return (
        f"{progress.processes} process(es), {progress.devices} device(s), fsdp {progress.fsdp}, "
        f"batches of {progress.batch_size}"
    )

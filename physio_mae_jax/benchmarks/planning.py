"""Largest batch that fits a GPU, from the planned memory of the compiled step, without running."""

import dataclasses
from collections.abc import Callable, Sequence

# Usable share of a GPU's memory, after CUDA, cuDNN workspaces and fragmentation.
USABLE_SHARE = 0.9
_PROBE_BATCHES = (1, 3)
_MAX_BATCH = 4096


@dataclasses.dataclass(frozen=True)
class Fit:
    """The largest batch that fits a GPU.

    Attributes:
        card_gib: Memory of the GPU in GiB.
        batch_size: Windows on that GPU; 0 if not even one fits.
        planned_gib: Planned memory of the compiled step at that batch, in GiB.
    """

    card_gib: float
    batch_size: int
    planned_gib: float


def plan_batches(
    planned_gib: Callable[[int], float], cards_gib: Sequence[float]
) -> tuple[list[Fit], tuple[float, float]]:
    """Find the largest batch for each GPU.

    Memory is nearly linear in the batch size, so two compilations predict it; each prediction is
    compiled once more for confirmation.

    Args:
        planned_gib: Compiles the step for a batch size and returns its planned memory in GiB.
        cards_gib: Memory of each GPU in GiB.

    Returns:
        The fits, and (constant, per window) memory in GiB.
    """
    few, more = _PROBE_BATCHES
    first, second = planned_gib(few), planned_gib(more)
    each = max((second - first) / (more - few), 1e-9)
    constant = first - few * each
    fits = []
    for card in cards_gib:
        usable = card * USABLE_SHARE
        batch = min(_MAX_BATCH, int((usable - constant) / each))
        planned = planned_gib(batch) if batch >= 1 else first
        while batch > 1 and planned > usable:
            batch = min(batch - 1, int(batch * usable / planned))
            planned = planned_gib(batch)
        fits.append(Fit(card, batch if planned <= usable else 0, planned))
    return fits, (constant, each)

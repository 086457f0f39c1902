"""What fits a card, from the memory that the compiled step itself plans, before anything runs."""

import dataclasses
from collections.abc import Callable, Sequence

# Of a card's memory, what CUDA, cuDNN's workspaces and fragments leave to a program.
USABLE_SHARE = 0.9
_PROBE_BATCHES = (1, 3)
_MAX_BATCH = 4096


@dataclasses.dataclass(frozen=True)
class Fit:
    """The largest batch that fits a card.

    Attributes:
        card_gib: memory of the card.
        batch_size: windows on that card; 0 where not even one fits.
        planned_gib: that the compiled step of that batch plans.
    """

    card_gib: float
    batch_size: int
    planned_gib: float


def plan_batches(
    planned_gib: Callable[[int], float], cards_gib: Sequence[float]
) -> tuple[list[Fit], tuple[float, float]]:
    """Find the largest batch for each card.

    Memory is nearly a constant and a share of each window, so two compilations predict all, and
    what is predicted is compiled once more to be sure.

    Args:
        planned_gib: compiles the step for a batch and returns what it plans.
        cards_gib: memory of each card.

    Returns:
        The fits, and the (constant, share of a window) in GiB.
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

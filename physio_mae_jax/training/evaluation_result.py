"""What a look at a model in training gives."""

from collections.abc import Sequence
from typing import NamedTuple


class Judgement(NamedTuple):
    """What a look at the model after some steps gave.

    Attributes:
        phase: of metrics.jsonl.
        metrics: numbers by name.
        lines: the same for people.
    """

    phase: str
    metrics: dict[str, float]
    lines: Sequence[str]

"""Result of an evaluation during training."""

from collections.abc import Sequence
from typing import NamedTuple


class EvaluationResult(NamedTuple):
    """Result of an evaluation after some steps.

    Attributes:
        phase: Phase name in metrics.jsonl.
        metrics: Metrics by name.
        lines: The metrics as readable lines.
    """

    phase: str
    metrics: dict[str, float]
    lines: Sequence[str]

"""What a run that was judged left in its folder."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from physio_mae_jax.evaluation.predictions import Predictions


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judged:
    """A run that is done.

    Attributes:
        predictions: of test.
        figures: values on test by the name of the metric; NaN where undefined.
        context: of its card.
    """

    predictions: Predictions
    figures: Mapping[str, float]
    context: Mapping[str, Any]


def read_judged(folder: Path) -> Judged:
    """Read the folder of a run that has its card."""
    card = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    overall = card["evaluations"]["test"]["overall"]
    return Judged(
        predictions=Predictions.load(folder / "predictions" / "test.npz"),
        figures={
            name: float("nan") if held["value"] is None else float(held["value"])
            for name, held in overall.items()
        },
        context=card["context"],
    )

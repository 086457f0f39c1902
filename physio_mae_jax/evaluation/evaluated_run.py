"""Results of an evaluated run, read from its folder."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from physio_mae_jax.data.json_types import check_types
from physio_mae_jax.data.sealed_json import read_sealed
from physio_mae_jax.evaluation.predictions import Predictions
from physio_mae_jax.types import JsonMapping, JsonObject

_HINT = "remove the folder of that run and run the same command again."
_Value: Any = float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluatedRun:
    """A finished run.

    Attributes:
        predictions: Predictions of the test split.
        metrics: Test metrics by name; NaN where undefined.
        context: Context of its report.
    """

    predictions: Predictions
    metrics: Mapping[str, float]
    context: JsonMapping


def load_evaluation(folder: Path) -> EvaluatedRun:
    """Load the evaluation from the folder of a run.

    Raises:
        DataError: The report or the predictions are broken, or were changed after they were
            written.
    """
    path = folder / "evaluation.json"
    report = read_sealed(path, _HINT)

    def member(content: object, name: str) -> JsonObject:
        found = content.get(name) if isinstance(content, dict) else None
        return check_types(dict, found, f"{path}: {name}", _HINT)

    overall = member(member(member(report, "evaluations"), "test"), "overall")
    values = {
        name: check_types(_Value, member(overall, name).get("value"), f"{path}: {name}", _HINT)
        for name in overall
    }
    return EvaluatedRun(
        predictions=Predictions.load(folder / "predictions" / "test.npz"),
        metrics={name: float("nan") if value is None else value for name, value in values.items()},
        context=member(report, "context"),
    )

"""Caveats that a report shows before its metrics, and how the metrics are defined."""

from collections.abc import Mapping
from typing import Any

from physio_mae_jax.evaluation.markdown import bullets, escape
from physio_mae_jax.evaluation.results import Evaluation

# Start of ``data.contamination.ContaminationReport.line`` where nothing was found.
_CLEAN = "contamination: none of"
_MIN_SUBJECTS_FOR_INTERVAL = 20


def reported_split(evaluations: Mapping[str, Evaluation]) -> str:
    """Return the split to report: 'test' where there is one."""
    return "test" if "test" in evaluations else "validation"


def is_uncontaminated(context: Mapping[str, Any]) -> bool:
    """Return whether contamination was checked and not found."""
    return str(context.get("contamination", "")).startswith(_CLEAN)


def caveats(evaluations: Mapping[str, Evaluation], context: Mapping[str, Any]) -> list[str]:
    """Return the caveats a reader must know before any metric; may be empty."""
    split = reported_split(evaluations)
    evaluated = evaluations[split]
    found = []
    if not context.get("contamination"):
        found.append("Contamination was not checked: the model may have seen these subjects.")
    elif not is_uncontaminated(context):
        found.append(escape(str(context["contamination"])))
    if split != "test":
        found.append("No test was evaluated. Choices were made on these same instances.")
    elif evaluated.num_subjects_decided_on:
        found.append(
            f"Thresholds were chosen on {evaluated.num_subjects_decided_on} of the "
            f"{evaluated.num_subjects} subjects of the test; the metrics are biased upwards."
        )
    if evaluated.num_subjects < _MIN_SUBJECTS_FOR_INTERVAL:
        found.append(
            f"Only {evaluated.num_subjects} subject{'s' * (evaluated.num_subjects != 1)}: "
            "intervals are too narrow, and other subjects may differ from all of them."
        )
    return found


def reading(evaluated: Evaluation) -> str:
    """Explain intervals, marks and metrics."""
    minimum = evaluated.min_positives
    strata = (
        "within strata by the rarest class of the subject, so that no replicate loses a class. "
    )
    lines = [
        f"Intervals are the 2.5 and 97.5 percentiles of {evaluated.num_resamples:,} bootstrap "
        f"replicates (seed {evaluated.seed}). Each draws subjects with replacement, all instances "
        f"of a subject together{'. ' if evaluated.kind == 'regression' else f', {strata}'}"
        "They show the variation over test subjects of this kind; not over training runs, "
        "seeds or hospitals. An interval of zero width at a bound, such as 1.000, is a limit "
        "of the bootstrap and no certainty.",
        "A dash marks an undefined metric, such as the precision of a class that was never "
        "decided; no number replaces it, and averages over it are undefined too. A "
        "metric without an interval is undefined in some replicate.",
    ]
    if evaluated.kind == "regression":
        return bullets([*lines, "Limits of agreement are those of Bland and Altman (1986)."])
    lines += [
        f"\\* fewer than {minimum} positive or negative instances: shown, and excluded from the "
        "averages without rare classes.",
        f"† positives or negatives of fewer than {minimum} subjects.",
        "Intervals of classes with few positive subjects are too narrow. In a simulation (AUROC "
        "0.82) they covered the truth 78 % of the time with 5 of them, 85 % with 10, 91 % with 20 "
        "and 93 % with 50. Those of average precision also lie too high, by 0.02 with up to 20.",
        "AUROC and average precision need no threshold. F1, sensitivity, specificity and precision "
        "are those of the calibration below.",
        "Subgroups that exclude different classes average over different tasks: do not compare "
        "them.",
        "ECE: expected calibration error, 15 bins. It is above zero even for perfect calibration, "
        "the more so the fewer the instances; its bootstrap interval would mislead and is not "
        "given.",
    ]
    if evaluated.kind == "multiclass":
        lines.append(
            "AUROC is that of each class against the rest; balanced accuracy is the mean "
            "sensitivity. Calibration of the decided class is that of the highest probability."
        )
    return bullets(lines)

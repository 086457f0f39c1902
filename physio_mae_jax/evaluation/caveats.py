"""Caveats shown at the top of a report, and notes on interpreting its metrics."""

from collections.abc import Mapping

from physio_mae_jax.evaluation.markdown import bullets, escape
from physio_mae_jax.evaluation.results import Evaluation

# Start of ``data.contamination.ContaminationReport.format_line`` if nothing was found.
_UNCONTAMINATED_PREFIX = "contamination: none of"
_MIN_SUBJECTS_FOR_INTERVAL = 20


def reported_split(evaluations: Mapping[str, Evaluation]) -> str:
    """Return the split to report: 'test' if available."""
    return "test" if "test" in evaluations else "validation"


def is_uncontaminated(context: Mapping[str, object]) -> bool:
    """Return whether contamination was checked and none was found."""
    return str(context.get("contamination", "")).startswith(_UNCONTAMINATED_PREFIX)


def caveats(evaluations: Mapping[str, Evaluation], context: Mapping[str, object]) -> list[str]:
    """Return the caveats a reader must know before any metric; may be empty."""
    split = reported_split(evaluations)
    evaluated = evaluations[split]
    found = contamination_caveats(context)
    if split != "test":
        found.append("No test split was evaluated; model selection used these same instances.")
    elif evaluated.num_threshold_subjects:
        found.append(
            f"Thresholds were chosen on {evaluated.num_threshold_subjects} of the "
            f"{evaluated.num_subjects} subjects of the test split; the metrics are biased upwards."
        )
    return found + few_subjects(evaluated.num_subjects)


def few_subjects(num_subjects: int) -> list[str]:
    """Return the caveat of a test on few subjects; empty if there are enough."""
    if num_subjects >= _MIN_SUBJECTS_FOR_INTERVAL:
        return []
    return [
        f"Only {num_subjects} subject{'s' * (num_subjects != 1)}: "
        "intervals are too narrow, and other subjects may differ from all of them."
    ]


def contamination_caveats(context: Mapping[str, object]) -> list[str]:
    """Return what a reader must know of training on the evaluated subjects; empty if none."""
    if not context.get("contamination"):
        return ["Contamination was not checked: the model may have seen these subjects."]
    return [] if is_uncontaminated(context) else [escape(str(context["contamination"]))]


def interpretation_notes(evaluated: Evaluation) -> str:
    """Explain intervals, marks and metrics, as Markdown."""
    minimum = evaluated.min_positives
    strata = "stratified by the rarest class of the subject, so that no replicate loses a class. "
    lines = [
        f"Intervals are the 2.5 and 97.5 percentiles of {evaluated.num_resamples:,} bootstrap "
        f"replicates (seed {evaluated.seed}). Each draws subjects with replacement, keeping all "
        "instances of a subject "
        f"together{'. ' if evaluated.kind == 'regression' else f', {strata}'}"
        "They show the variation over test subjects of this population, not over training runs, "
        "seeds or hospitals. An interval of zero width at a bound, such as 1.000, is a limitation "
        "of the bootstrap, not certainty.",
        "A dash marks an undefined metric, such as the precision of a class that was never "
        "predicted; averages that include it are undefined too. A "
        "metric without an interval is undefined in some replicate.",
    ]
    if evaluated.kind == "regression":
        return bullets([*lines, "Limits of agreement are those of Bland and Altman (1986)."])
    lines += [
        f"\\* fewer than {minimum} positive or negative instances: shown, and excluded from the "
        "averages without rare classes.",
        f"† positives or negatives of fewer than {minimum} subjects.",
        "Intervals of classes with few positive subjects are too narrow. In a simulation (AUROC "
        "0.82) their coverage was 78 % with 5 positive subjects, 85 % with 10, 91 % with 20 and 93 "
        "% with 50. Intervals of average precision are also biased upwards, by 0.02 with up to 20.",
        "AUROC and average precision need no threshold. F1, sensitivity, specificity and precision "
        "use the thresholds below.",
        "Subgroups that exclude different classes average over different tasks: do not compare "
        "them.",
        "ECE: expected calibration error, 15 bins. It is above zero even for perfect calibration, "
        "and larger for fewer instances; its bootstrap interval would be misleading and is not "
        "shown.",
    ]
    if evaluated.kind == "multiclass":
        lines.append(
            "AUROC is that of each class against the rest; balanced accuracy is the mean "
            "sensitivity. Calibration of the predicted class is that of the highest probability."
        )
    return bullets(lines)

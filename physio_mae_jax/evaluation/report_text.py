"""Rendering the evaluation report as Markdown, caveats first."""

import math
from collections.abc import Mapping, Sequence

from physio_mae_jax.evaluation.calibration import Calibration
from physio_mae_jax.evaluation.caveats import (
    caveats,
    interpretation_notes,
    is_uncontaminated,
    reported_split,
)
from physio_mae_jax.evaluation.markdown import (
    escape,
    escape_name,
    facts,
    format_difference,
    format_interval,
    number,
    table,
    words,
)
from physio_mae_jax.evaluation.results import ClassResult, Comparison, Evaluation, SubgroupResult
from physio_mae_jax.printable import printable

# Provenance shown on a report, in this order; absent entries are reported as missing.
CONTEXT = ("command", "versions", "device", "data", "split", "contamination", "checkpoint", "seeds")
# Shown elsewhere on the report.
_ELSEWHERE = ("title", "command", "contamination")
_MAX_LISTED = 8


def render_report(
    *,
    title: str,
    evaluations: Mapping[str, Evaluation],
    calibration: Calibration,
    context: Mapping[str, object],
    comparisons: Sequence[Comparison],
    plots: Sequence[str],
) -> str:
    """Render the report.

    Args:
        title: Title with the evaluated model and data.
        evaluations: Evaluations by split, 'test' and 'validation', at least one.
        calibration: Calibration and thresholds, chosen on validation.
        context: Provenance, see ``report.write_report``.
        comparisons: Comparisons with other models; may be empty.
        plots: File names of plots below the report's folder.
    """
    split = reported_split(evaluations)
    evaluated = evaluations[split]
    sections = [
        f"# {escape(title)}",
        *(f"> **{caveat}**" for caveat in caveats(evaluations, context)),
        _headline(split, evaluated),
        f"## What was evaluated\n\n{_splits_table(evaluations, calibration, context)}",
        f"## Metrics, with 95 % intervals\n\n{_overall(evaluations, split)}",
        f"## Every {_class_noun(evaluated)}\n\n{_by_class(evaluated)}",
    ]
    if evaluated.calibration:
        sections.append(f"## Calibration on {split}\n\n{_calibration(evaluated)}")
    if evaluated.subgroups:
        sections.append(f"## Subgroups of {split}\n\n{_subgroups(evaluated)}")
    if calibration.kind != "regression":
        chosen = _decisions(calibration, evaluated.min_positives)
        sections.append(f"## Calibration, chosen on validation\n\n{chosen}")
    if comparisons:
        sections.append(f"## Comparison on the same instances\n\n{_comparisons(comparisons)}")
    sections += ["## Plots", *(f"![{_plot_title(name)}]({name})" for name in plots)]
    sections += [
        f"## How to read this\n\n{interpretation_notes(evaluated)}",
        "## How to reproduce it",
    ]
    sections += [render_reproduction(context)]
    return "\n\n".join(sections) + "\n"


def _headline(split: str, evaluated: Evaluation) -> str:
    rare = sum(row.rare and not row.is_absent for row in evaluated.by_class)
    count = _num_averaged(evaluated)
    count_prefix = "" if count == len(evaluated.classes) else f"{count} of "
    rare_note = ""
    if evaluated.main_metric in evaluated.overall_frequent:
        without = format_interval(evaluated.overall_frequent[evaluated.main_metric], evaluated.kind)
        rare_note = f" Without {rare} rare {_class_noun_plural(evaluated, rare)}: {without}."
    averaged = evaluated.kind == "regression" and len(evaluated.classes) > 1
    name = words(evaluated.main_metric) + " (average over targets)" * averaged
    return (
        f"**{name} {format_interval(evaluated.main, evaluated.kind)}** on {split}: "
        f"{evaluated.num_instances:,} instances of {evaluated.num_subjects:,} subjects, "
        f"{count_prefix}{len(evaluated.classes)} "
        f"{_class_noun_plural(evaluated, len(evaluated.classes))}.{rare_note}"
    )


def _splits_table(
    evaluations: Mapping[str, Evaluation], calibration: Calibration, context: Mapping[str, object]
) -> str:
    roles = {
        "test": "evaluated; calibration and thresholds are from validation",
        "validation": "used to fit calibration and thresholds, so it is biased upwards",
    }
    if calibration.kind == "regression":
        roles = {"test": "evaluated", "validation": "used for model selection"}
    rows = [
        (split, f"{e.num_instances:,}", f"{e.num_subjects:,}", roles.get(split, ""))
        for split, e in evaluations.items()
    ]
    shown = table(("split", "instances", "subjects", "role"), rows)
    line = escape(str(context.get("contamination", "")))
    # Contamination is shown above already.
    return f"{shown}\n\n{line}" if is_uncontaminated(context) else shown


def _overall(evaluations: Mapping[str, Evaluation], split: str) -> str:
    evaluated = evaluations[split]
    frequent = sum(not row.rare for row in evaluated.by_class)
    count = _num_averaged(evaluated)
    header = ["", f"{split}, {count} {_class_noun_plural(evaluated, count)}"]
    if evaluated.overall_frequent:
        header.append(f"{split}, {frequent} without rare classes*")
    other_splits = [other for other in evaluations if other != split]
    rows = []
    for name, estimate in evaluated.overall.items():
        row = [words(name), format_interval(estimate, evaluated.kind)]
        if evaluated.overall_frequent:
            value = evaluated.overall_frequent.get(name)
            row.append("" if value is None else format_interval(value, evaluated.kind))
        row += [
            format_interval(evaluations[other].overall[name], evaluated.kind)
            for other in other_splits
        ]
        rows.append(row)
    return table([*header, *other_splits], rows)


def _by_class(evaluated: Evaluation) -> str:
    if evaluated.kind == "regression":
        names = list(evaluated.by_class[0].metrics)
        rows = [
            [
                escape_name(row.name),
                *(format_interval(row.metrics[name], evaluated.kind) for name in names),
            ]
            for row in evaluated.by_class
        ]
        return table([_class_noun(evaluated), *map(words, names)], rows)
    names = [name for name in evaluated.by_class[0].metrics if name != "brier"]
    rows = [
        [
            escape_name(row.name) + _rarity_mark(row, evaluated),
            f"{row.num_positives:,}",
            f"{row.num_positive_subjects:,}",
            *(format_interval(row.metrics[name], evaluated.kind) for name in names),
        ]
        for row in evaluated.by_class
    ]
    shown = table([_class_noun(evaluated), "positives", "subjects", *map(words, names)], rows)
    absent = [escape_name(row.name) for row in evaluated.by_class if row.is_absent]
    note = f"\n\nExcluded from all averages, no positives or no negatives: {', '.join(absent)}."
    return shown + (note if absent else "")


def _calibration(evaluated: Evaluation) -> str:
    names = {
        "ece": "ECE",
        "ece_equal_mass": "ECE, bins of equal mass",
        "brier": "Brier score",
        "log_loss": "log loss (nats)",
    }
    rows = [
        [
            escape_name(row.name),
            *(f"{number(row.before[n])} → {number(row.after[n])}" for n in names),
        ]
        for row in evaluated.calibration
    ]
    return table(["before → after", *names.values()], rows)


def _subgroups(evaluated: Evaluation) -> str:
    rows = []
    for group in evaluated.subgroups:
        counts = [f"{escape_name(name)} {count:,}" for name, count in group.num_positives.items()]
        rows.append(
            [
                f"{group.attribute} {escape_name(group.name)}",
                f"{group.num_instances:,}",
                f"{group.num_subjects:,}",
                ", ".join(counts) if len(counts) <= _MAX_LISTED else "see evaluation.json",
                format_interval(group.estimate, evaluated.kind),
                _excluded_channels(group),
            ]
        )
    header = ["", "instances", "subjects", "positives", words(evaluated.main_metric), "excluded"]
    if evaluated.kind == "regression":
        header, rows = [h for h in header if h != "positives"], [r[:3] + r[4:] for r in rows]
    lines = [table(header, rows)]
    for attribute, count in evaluated.num_unknown.items():
        if count:
            lines.append(
                f"{count:,} instances have no valid {attribute} and are in none of these subgroups."
            )
    return "\n\n".join(lines)


def _excluded_channels(group: SubgroupResult) -> str:
    if not group.excluded:
        return ""
    if math.isnan(group.estimate.value):
        return "all: too few"
    rare_note = len(group.excluded) - _MAX_LISTED
    names = ", ".join(escape_name(name) for name in group.excluded[:_MAX_LISTED])
    return f"too few: {names}" + (f" and {rare_note} others" if rare_note > 0 else "")


def _decisions(calibration: Calibration, min_positives: int) -> str:
    if calibration.num_folds:
        return (
            f"In each of {calibration.num_folds} folds calibration and thresholds were chosen on "
            "the validation of that fold; they are in its own report."
        )
    beta = f"F{calibration.beta:g}"
    lines = [
        f"On {calibration.num_instances:,} instances of {len(calibration.subjects):,} subjects."
    ]
    if calibration.kind == "multiclass":
        lines[0] += f" Temperature {calibration.temperature:.3g}."
        if not calibration.thresholds:
            lines[0] += " The most probable class is predicted."
        else:
            first, second = map(escape_name, calibration.classes)
            lines[0] += f" {second} is predicted if it reaches its threshold, else {first}."
    rows = []
    for k, name in enumerate(calibration.classes):
        row = [escape_name(name), f"{calibration.num_positives[k]:,}"]
        if calibration.thresholds:
            row.append(f"{calibration.thresholds[k]:.3f}")
        if calibration.slopes:
            row.append(f"{calibration.slopes[k]:.3g} · logit {calibration.intercepts[k]:+.3g}")
        min_subjects = min(
            calibration.num_positives[k], calibration.num_instances - calibration.num_positives[k]
        )
        note = "unreliable: too few" if min_subjects < min_positives else ""
        rows.append([*row, "not chosen" if name in calibration.undecided else note])
    header = ["class", "positives"]
    header += [f"threshold of highest {beta}"] if calibration.thresholds else []
    header += ["calibrated log-odds"] if calibration.slopes else []
    lines.append(table([*header, ""], rows))
    if calibration.undecided:
        lines.append("Not chosen: validation has no positives or no negatives of these classes.")
    return "\n\n".join(lines)


def _comparisons(comparisons: Sequence[Comparison]) -> str:
    rows = [
        [
            escape_name(c.name),
            escape_name(c.reference),
            words(c.metric),
            number(c.value),
            number(c.reference_value),
            format_difference(c.difference.estimate),
            number(c.difference.share_not_above_zero),
        ]
        for c in comparisons
    ]
    header = [
        "model",
        "reference",
        "metric",
        "model's",
        "reference's",
        "difference",
        "fraction ≤ 0",
    ]
    note = (
        "The difference is the model's metric minus the reference's, both on the same replicates; "
        "the last column is the fraction of replicates where it is 0 or less."
    )
    return f"{table(header, rows)}\n\n{note}"


def render_reproduction(context: Mapping[str, object]) -> str:
    """Render the command and the provenance of a report's context."""
    command = str(context.get("command", "not stated"))
    block = "\n".join(f"    {printable(line, None)}" for line in command.splitlines())
    shown = {name: value for name, value in context.items() if name not in _ELSEWHERE}
    for name in CONTEXT:
        # 'split rule' and 'split hash' state the split as well as one entry 'split' does.
        if name not in _ELSEWHERE and not any(
            f"{value} ".startswith(f"{name} ") for value in shown
        ):
            shown[name] = "not stated"
    return (
        f"{block}\n\n{table(['', ''], [[escape(n), facts(value)] for n, value in shown.items()])}"
    )


def _num_averaged(evaluated: Evaluation) -> int:
    return sum(evaluated.kind == "regression" or not row.is_absent for row in evaluated.by_class)


def _rarity_mark(row: ClassResult, evaluated: Evaluation) -> str:
    few = min(row.num_positive_subjects, row.num_negative_subjects) < evaluated.min_positives
    return "\\*" if row.rare else "†" if few else ""


def _class_noun(evaluated: Evaluation) -> str:
    return {"multilabel": "label", "multiclass": "class", "regression": "target"}[evaluated.kind]


def _class_noun_plural(evaluated: Evaluation, count: int) -> str:
    one = _class_noun(evaluated)
    return one if count == 1 else "classes" if one == "class" else f"{one}s"


def _plot_title(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".png").replace("_", " ")

"""Writing the report, JSON and plots of an evaluation."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from physio_mae_jax import atomic_files
from physio_mae_jax.data.sealed_json import add_seal
from physio_mae_jax.errors import DataError
from physio_mae_jax.evaluation import curves
from physio_mae_jax.evaluation.calibration import Calibration
from physio_mae_jax.evaluation.caveats import reported_split
from physio_mae_jax.evaluation.predictions import Predictions
from physio_mae_jax.evaluation.report_text import render_report
from physio_mae_jax.evaluation.results import Comparison, Evaluation, plain
from physio_mae_jax.plots import evaluation as figures

_REPORT = "evaluation.md"
_Plots = dict[str, Callable[[], figures.Figure]]
# Plots of the training of the evaluated model, if it ran in the same folder.
_LEARNING_CURVES = "plots/learning_curves.png"


def write_report(
    folder: Path,
    *,
    title: str,
    evaluations: Mapping[str, Evaluation],
    predictions: Mapping[str, Predictions],
    calibration: Calibration,
    context: Mapping[str, object],
    comparisons: Sequence[Comparison] = (),
) -> Path:
    """Write plots/*.png, evaluation.json and evaluation.md, each atomically.

    The report is written last, so that all files it refers to exist.

    Args:
        folder: Folder of the report; created if absent.
        title: Title with the evaluated model and data.
        evaluations: Evaluations by split: 'test', 'validation' or both.
        predictions: Predictions of the same splits; those of the test split are plotted, or those
            of validation if there is no test split.
        calibration: Calibration and thresholds, chosen on validation.
        context: Provenance, for readers and as JSON: 'command' (text), 'versions', 'device',
            'data' (hashes by name), 'split' (rule and hash), 'contamination'
            (``ContaminationReport.line``), 'checkpoint', 'seeds'. Missing
            entries are reported as missing; further entries are shown too.
        comparisons: Results of ``evaluation.compare``.

    Returns:
        Path of the report.

    Raises:
        DataError: There is no evaluation, or the predictions are not the evaluated ones.
    """
    split, plotted = _plotted_predictions(evaluations, predictions)
    plots = _write_plots(folder, plotted, evaluations[split], calibration, split)
    if (folder / _LEARNING_CURVES).is_file():
        plots.append(_LEARNING_CURVES)
    content = {
        "title": title,
        "evaluations": evaluations,
        "comparisons": comparisons,
        "calibration": calibration.to_json(),
        "context": context,
    }
    atomic_files.write_json(folder / "evaluation.json", add_seal(plain(content)))
    text = render_report(
        title=title,
        evaluations=evaluations,
        calibration=calibration,
        context=context,
        comparisons=comparisons,
        plots=plots,
    )
    atomic_files.write_text(folder / _REPORT, text)
    return folder / _REPORT


def _plotted_predictions(
    evaluations: Mapping[str, Evaluation], predictions: Mapping[str, Predictions]
) -> tuple[str, Predictions]:
    """Return the split that is plotted and its predictions; raise unless they were evaluated."""
    if not evaluations or set(evaluations) - {"test", "validation"}:
        raise DataError(
            f"a report must be of 'test', 'validation' or both; got {list(evaluations)}."
        )
    split = reported_split(evaluations)
    evaluated, plotted = evaluations[split], predictions.get(split)
    if plotted is None or (evaluated.num_instances, evaluated.classes) != (
        plotted.num_instances,
        plotted.classes,
    ):
        found = (
            f"those of {plotted.num_instances} instances of {plotted.classes}"
            if plotted
            else "none"
        )
        raise DataError(
            f"the report's predictions of {split} must be of the evaluated "
            f"{evaluated.num_instances} instances of {evaluated.classes}; got {found}."
        )
    return split, plotted


def has_report(folder: Path) -> bool:
    """Return whether a folder contains a complete report."""
    return (folder / _REPORT).is_file()


def _write_plots(
    folder: Path,
    predictions: Predictions,
    evaluated: Evaluation,
    calibration: Calibration,
    split: str,
) -> list[str]:
    """Plot a split, skipping empty plots; return the file names in the folder."""
    evaluated_on = (
        f"{split}, {evaluated.num_instances:,} instances of {evaluated.num_subjects:,} subjects"
    )
    if evaluated.kind == "regression":
        quantities = curves.agreements(predictions, evaluated)
        plots_by_name: _Plots = {
            "scatter": lambda: figures.draw_scatter(
                quantities, f"Prediction and truth: {evaluated_on}"
            ),
            "bland_altman": lambda: figures.draw_bland_altman(
                quantities, f"Agreement: {evaluated_on}"
            ),
        }
    else:
        exclusive = evaluated.kind == "multiclass"
        plots_by_name = _curve_plots(predictions, evaluated, calibration, evaluated_on)
        plots_by_name["confusion"] = lambda: figures.draw_confusion(
            *curves.confusion_table(evaluated),
            labels=("truth", "predicted") if exclusive else ("", ""),
            title=f"Predictions: {evaluated_on}",
            parts=() if exclusive else (2,),
        )
    return [
        f"plots/{name}.png"
        for name, draw in plots_by_name.items()
        if atomic_files.write_figure(folder / "plots" / f"{name}.png", draw)
    ]


def _curve_plots(
    predictions: Predictions, evaluated: Evaluation, calibration: Calibration, evaluated_on: str
) -> _Plots:
    plotted_classes = curves.shown_classes(evaluated)
    if not plotted_classes:
        return {}
    present = sum(not row.is_absent for row in evaluated.by_class)
    if len(plotted_classes) < present:
        evaluated_on += (
            f"\n({len(plotted_classes)} of {present} classes, those with the most positives)"
        )
    return {
        "roc": lambda: figures.draw_roc(
            *curves.roc_curves(predictions, evaluated), f"ROC: {evaluated_on}"
        ),
        "precision_recall": lambda: figures.draw_precision_recall(
            *curves.precision_recall_curves(predictions, evaluated),
            f"Precision and recall: {evaluated_on}",
        ),
        "reliability": lambda: figures.draw_reliability(
            curves.reliabilities(predictions, calibration, evaluated),
            f"Calibration (bins of 5 instances or more): {evaluated_on}",
        ),
    }

"""Report, JSON, predictions and plot of an evaluation of classes of samples."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import numpy as np

from physio_mae_jax import atomic_files
from physio_mae_jax.data.sealed_json import add_seal
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.evaluation.caveats import contamination_caveats, few_subjects
from physio_mae_jax.evaluation.markdown import (
    bullets,
    escape,
    escape_name,
    format_interval,
    number,
    table,
)
from physio_mae_jax.evaluation.report_text import render_reproduction
from physio_mae_jax.evaluation.results import plain
from physio_mae_jax.evaluation.segmentation import SegmentationEvaluation, evaluate_segmentation
from physio_mae_jax.evaluation.segmentation_predictions import SegmentationPredictions
from physio_mae_jax.plots.segmentation import SegmentedChannel, draw_segmentation

_PLOT = "plots/segmentation.png"
_MAX_PLOTTED = 4
_KIND = "segmentation"


def report_segmentation(
    workdir: Path,
    predictions: Mapping[str, SegmentationPredictions],
    source: ConcatSource,
    reader: WindowReader,
    context: Mapping[str, object],
    *,
    num_resamples: int,
) -> SegmentationEvaluation:
    """Evaluate predictions, and write results, predictions and a plot.

    Args:
        workdir: Folder for predictions/, plots/, evaluation.json and evaluation.md.
        predictions: Predictions of 'test', and of 'validation' if the model was chosen on it.
        source, reader: Source and reader of the windows, for the plot.
        context: Context shown on the report; its 'title' is the headline.
        num_resamples: Number of bootstrap replicates.

    Returns:
        The evaluation of the test split.
    """
    results = {
        split: evaluate_segmentation(found, num_resamples=num_resamples)
        for split, found in predictions.items()
    }
    if jax.process_index() == 0:
        for split, found in predictions.items():
            found.save(workdir / "predictions" / f"{split}.npz")
        test = predictions["test"]
        atomic_files.write_figure(
            workdir / _PLOT,
            lambda: draw_segmentation(
                _plotted(test, source, reader), test.classes, test.sampling_rate_hz
            ),
        )
        title = str(context.get("title", "Evaluation"))
        content = {"title": title, "evaluations": results, "context": context}
        atomic_files.write_json(workdir / "evaluation.json", add_seal(plain(content)))
        # Written last, so that all files it refers to exist.
        atomic_files.write_text(workdir / "evaluation.md", _render(title, results, context))
    return results["test"]


def _plotted(
    predictions: SegmentationPredictions, source: ConcatSource, reader: WindowReader
) -> list[SegmentedChannel]:
    """Read the signals of some windows, of different recordings and channels."""
    _, firsts = np.unique(predictions.recordings, return_index=True)
    count = min(_MAX_PLOTTED, len(firsts))
    chosen = np.sort(firsts)[np.linspace(0, len(firsts) - 1, count).astype(int)]
    indices = {source.name(i): i for i in range(len(source.recordings))}
    channels = []
    for number_in_plot, window in enumerate(chosen.tolist()):
        present = np.flatnonzero((predictions.predicted[window] >= 0).any(axis=1))
        if not len(present):
            continue
        row = int(present[number_in_plot * len(present) // count])
        recording = str(predictions.recordings[window])
        example = reader.read(indices[recording], int(predictions.starts[window]))
        channels.append(
            SegmentedChannel(
                f"{recording}, {predictions.channels[window, row]}",
                example["signal"][row],
                predictions.predicted[window, row],
                predictions.targets[window, row],
            )
        )
    return channels


def _render(
    title: str, results: Mapping[str, SegmentationEvaluation], context: Mapping[str, object]
) -> str:
    test = results["test"]
    caveats = contamination_caveats(context) + few_subjects(test.num_subjects)
    sections = [
        f"# {escape(title)}",
        *(f"> **{caveat}**" for caveat in caveats),
        f"**macro F1 by sample {format_interval(test.macro_f1, _KIND)}** on test: "
        f"{test.num_samples:,} labeled samples of {test.num_recordings:,} recordings of "
        f"{test.num_subjects:,} subjects, in all channels.",
        escape(str(context.get("contamination", ""))),
        f"## Classes of samples\n\n{_by_class(results)}",
        f"## Onsets and offsets\n\n{_boundaries(test)}",
        f"## Confusion on test\n\n{_confusion(test)}",
        f"## Plots\n\n![waveforms with annotated and predicted classes]({_PLOT})",
        f"## How to read this\n\n{_notes(test)}",
        f"## How to reproduce it\n\n{render_reproduction(context)}",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _by_class(results: Mapping[str, SegmentationEvaluation]) -> str:
    test = results["test"]
    others = [split for split in results if split != "test"]
    rows = []
    for k, row in enumerate(test.by_class):
        rates = (row.f1, row.sensitivity, row.ppv)
        rows.append(
            [
                escape_name(row.name),
                f"{row.num_samples:,}",
                *(format_interval(estimate, _KIND) for estimate in rates),
                *(number(results[split].by_class[k].f1.value) for split in others),
            ]
        )
    header = ["class", "samples", "F1", "sensitivity", "PPV", *(f"F1, {s}" for s in others)]
    return table(header, rows)


def _boundaries(test: SegmentationEvaluation) -> str:
    rows = [
        [
            f"{escape_name(row.name)} {name}",
            f"{found.num_annotated:,}",
            *(format_interval(rate, _KIND) for rate in (found.sensitivity, found.ppv, found.f1)),
            f"{number(found.mean_error_ms, '+.1f')} ± {number(found.sd_error_ms, '.1f')}",
        ]
        for row in test.by_class
        for name, found in row.boundaries.items()
    ]
    return table(["", "annotated", "sensitivity", "PPV", "F1", "error (ms), mean ± SD"], rows)


def _confusion(test: SegmentationEvaluation) -> str:
    names = [escape_name(name) for name in test.classes]
    rows = [
        [name, *(f"{count:,}" for count in counts)]
        for name, counts in zip(names, test.confusion, strict=True)
    ]
    return table(["annotated \\ predicted", *names], rows)


def _notes(test: SegmentationEvaluation) -> str:
    lines: Sequence[str] = (
        "Only samples with a label are counted: those within an interval, and those where every "
        "interval is marked.",
        f"A predicted onset or offset within {test.tolerance_ms:g} ms of an annotated one of the "
        "same class and channel finds it, one to one. Sensitivity is the share of the annotated "
        "ones that are found, PPV the share of the predicted ones that find one.",
        "An error is the predicted minus the annotated time of a matched pair, in whole samples of "
        f"{1000 / test.sampling_rate_hz:g} ms.",
        f"Intervals are the 2.5 and 97.5 percentiles of {test.num_resamples:,} bootstrap "
        f"replicates of the subjects (seed {test.seed}).",
        "Macro F1 averages the classes of intervals that occur. A dash marks an undefined metric.",
    )
    return bullets(lines)

"""Texts of the model card: data sets, training, cost, use and limits."""

import re
import textwrap
from collections.abc import Iterable, Sequence

from physio_mae_jax.data.data_summary import DataSetSummary
from physio_mae_jax.experiment.run_record import RunRecord
from physio_mae_jax.inference.model_card import Card
from physio_mae_jax.printable import printable

INTENDED_USE = (
    "Research: embeddings of physiological signals, fine-tuning where labels are few, and a "
    "baseline for other methods."
)
LIMITS = (
    "Trained and evaluated on the data sets above only: results on other devices, electrode "
    "positions, populations and ages are not known, and were not compared between groups of "
    "subjects. Embeddings may carry the age, sex and identity of a subject; treat them like the "
    "signals. Channels that are not listed under Input are not known to the model."
)
_WIDTH = 100
_NOT_SAID = "not stated"


def compose_card(
    record: RunRecord,
    *,
    name: str,
    license: str,
    evaluations: Sequence[str],
    limits: str = "",
    has_curves: bool,
) -> Card:
    """Compose the texts of a card.

    Args:
        record: Record of the run.
        name: Name of the model.
        license: License of the weights, as its SPDX identifier.
        evaluations: Reports as Markdown, such as the text of a comparison.md.
        limits: Limits beside those that every model has.
        has_curves: Whether a picture of the learning curves lies beside the card.
    """
    return Card(
        name=name,
        license=license,
        training_data=_data_text(record.data),
        training=_training_text(record, has_curves),
        evaluation="\n\n".join(map(_demote_headings, evaluations)),
        intended_use=textwrap.fill(INTENDED_USE, _WIDTH),
        limits=textwrap.fill(f"{LIMITS} {limits}", _WIDTH),
    )


def _data_text(data: Sequence[DataSetSummary]) -> str:
    """Format a table of the data sets, and their citations."""
    rows = [
        (
            _linked(one),
            str(one.num_recordings),
            str(one.num_subjects),
            f"{one.hours:.1f}",
            printable(one.license) or _NOT_SAID,
            one.content_hash[:16] or _NOT_SAID,
        )
        for one in data
    ]
    header = ("data set", "recordings", "subjects", "hours", "license", "hash of the data")
    citations = [f"* {printable(one.citation, None)}" for one in data if one.citation]
    return "\n".join([*_table(header, rows), "", *citations]).strip()


def _linked(one: DataSetSummary) -> str:
    name = printable(f"{one.name}/{one.variant}" if one.variant else one.name)
    version = f" {printable(one.version)}" if one.version else ""
    return f"[{name}]({printable(one.homepage)}){version}" if one.homepage else f"{name}{version}"


def _training_text(record: RunRecord, has_curves: bool) -> str:
    """Format the most important settings, the cost and the last errors."""
    config = record.config
    mask, optimizer = config["objective"]["mask"], config["optimizer"]
    hours = ", ".join(
        f"{value:.2f} hours of {printable(kind)}" for kind, value in record.device_hours.items()
    )
    rows = [
        ("steps × windows", f"{record.num_steps} × {config['batch_size']}"),
        ("mask", f"{mask['kind']}, {mask['mask_ratio']:g} of the columns"),
        ("learning rate, decay", f"{optimizer['peak_learning_rate']:g}, cosine"),
        ("seed", str(config["seed"])),
        ("cost", f"{hours or 'not recorded'} (steps, saves and evaluations, times devices)"),
        *((f"held-out {name}", f"{value:.4f}") for name, value in record.errors.items()),
        *((f"version of {name}", printable(text)) for name, text in record.versions.items()),
    ]
    curves = "\n\n![Learning curves](learning_curves.png)" if has_curves else ""
    table = "\n".join(_table(("", ""), rows))
    return (
        "Masked reconstruction without labels. All settings are in training.json, the learning\n"
        f"curves in learning_curves.jsonl.\n\n{table}{curves}"
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _demote_headings(text: str) -> str:
    """Put the headings of a report below those of the card."""
    return re.sub(r"^(#+ )", r"##\1", text.strip(), flags=re.MULTILINE)

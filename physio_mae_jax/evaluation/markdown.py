"""Formatting of numbers, names and tables as Markdown."""

import math
import re
from collections.abc import Iterable, Mapping

from physio_mae_jax.evaluation.bootstrap import Estimate
from physio_mae_jax.printable import printable

_DISPLAY_NAMES = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "f1": "F1",
    "brier": "Brier score",
    "cohen_kappa": "Cohen's kappa",
    "multiclass_brier": "Brier score of all classes (0 to 2)",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R²",
    "pearson_r": "Pearson r",
    "bias": "bias (mean error)",
}

# Underscores only at word boundaries: within words Markdown treats them literally.
_SPECIAL = re.compile(r"[\\`*|<>\[\]]|(?<!\w)_|_(?!\w)")


def format_interval(estimate: Estimate, kind: str) -> str:
    """Format an estimate for a kind of task: '0.912 [0.880, 0.941]'."""
    digits = "#.4g" if kind == "regression" else ".3f"
    if math.isnan(estimate.low):
        return number(estimate.value, digits)
    low, high = (number(value, digits) for value in (estimate.low, estimate.high))
    return f"{number(estimate.value, digits)} [{low}, {high}]"


def format_difference(estimate: Estimate) -> str:
    """Format a difference: '+0.0120 [-0.0010, +0.0250]'."""
    if math.isnan(estimate.low):
        return number(estimate.value, "+.4f")
    low, high = (number(value, "+.4f") for value in (estimate.low, estimate.high))
    return f"{number(estimate.value, '+.4f')} [{low}, {high}]"


def number(value: float, digits: str = ".3f") -> str:
    """Format a number; a dash if it is undefined."""
    return "–" if math.isnan(value) else format(value, digits).removesuffix(".")


def words(name: str) -> str:
    """Return the display name of a metric; text after a space is kept."""
    name, space, more = name.partition(" ")
    if more:
        return words(name) + space + more
    start, _, rest = name.partition("_")
    if start == "macro":
        return f"macro {words(rest)}"
    return _DISPLAY_NAMES.get(name, name.replace("_", " "))


def escape(text: str) -> str:
    """Escape text for Markdown and terminals, on one line."""
    return _SPECIAL.sub(r"\\\g<0>", printable(" ".join(text.split()), None))


def escape_name(name: str) -> str:
    """Escape a name from the data, of any length and content, for Markdown."""
    return escape(printable(" ".join(name.split())))


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Format a table of Markdown cells."""
    lines = [list(header), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def bullets(lines: Iterable[str]) -> str:
    """Format a list, one item per line."""
    return "\n".join(f"* {line}" for line in lines)


def facts(value: object) -> str:
    """Format a value of a report's context, possibly a mapping or a list, on one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{escape(str(name))} {facts(held)}" for name, held in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(facts(held) for held in value)
    return escape(str(value))

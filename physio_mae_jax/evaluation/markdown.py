"""Figures, names and tables as Markdown."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from physio_mae_jax.evaluation.bootstrap import Estimate
from physio_mae_jax.printable import printable

_WORDS = {
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

# Underscores only at the ends of words: within them they are but themselves.
_SPECIAL = re.compile(r"[\\`*|<>\[\]]|(?<!\w)_|_(?!\w)")


def interval(estimate: Estimate, kind: str) -> str:
    """Write an estimate of a task of some kind: '0.912 [0.880, 0.941]'."""
    digits = "#.4g" if kind == "regression" else ".3f"
    if math.isnan(estimate.low):
        return number(estimate.value, digits)
    low, high = (number(value, digits) for value in (estimate.low, estimate.high))
    return f"{number(estimate.value, digits)} [{low}, {high}]"


def signed(estimate: Estimate) -> str:
    """Write a difference: '+0.0120 [-0.0010, +0.0250]'."""
    if math.isnan(estimate.low):
        return number(estimate.value, "+.4f")
    low, high = (number(value, "+.4f") for value in (estimate.low, estimate.high))
    return f"{number(estimate.value, '+.4f')} [{low}, {high}]"


def number(value: float, digits: str = ".3f") -> str:
    """Write a number; a dash where it is undefined."""
    return "–" if math.isnan(value) else format(value, digits).removesuffix(".")


def words(name: str) -> str:
    """Name a metric for people; what follows a space is words already."""
    name, space, more = name.partition(" ")
    if more:
        return words(name) + space + more
    start, _, rest = name.partition("_")
    if start == "macro":
        return f"macro {words(rest)}"
    return _WORDS.get(name, name.replace("_", " "))


def escape(text: str) -> str:
    """Keep text from being read as Markdown or obeyed by a terminal, on one line."""
    return _SPECIAL.sub(r"\\\g<0>", printable(" ".join(text.split()), None))


def named(name: str) -> str:
    """Write a name of the data, which may be of any length and anything, as Markdown."""
    return escape(printable(" ".join(name.split())))


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Write a table of cells that are Markdown already."""
    lines = [list(header), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def bullets(lines: Iterable[str]) -> str:
    """Write a list, an item a line."""
    return "\n".join(f"* {line}" for line in lines)


def facts(value: Any) -> str:
    """Write a value of a card's context, which may be a mapping or a list, on one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{escape(str(name))} {facts(held)}" for name, held in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(facts(held) for held in value)
    return escape(str(value))

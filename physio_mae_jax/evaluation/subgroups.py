"""Metrics by sex and age, with a bootstrap within each subgroup."""

import functools
import re
from collections.abc import Iterator

import numpy as np

from physio_mae_jax.evaluation import metric_sets
from physio_mae_jax.evaluation.bootstrap import (
    Estimate,
    confidence_interval,
    get_strata,
    has_variation,
    replicate,
)
from physio_mae_jax.evaluation.predictions import Predictions
from physio_mae_jax.evaluation.results import SubgroupResult

# Start in years and name of each bin; a bin ends where the next one starts.
AGE_BINS = ((0.0, "<40"), (40.0, "40-60"), (60.0, "60-80"), (80.0, "≥80"))
_UNKNOWN = ("", "nan", "none", "null", "unknown", "?", "n/a")
# '63', '63.5', '>89' (privacy rules), '89+', '063Y' (DICOM).
_AGE = re.compile(r"[>≥]?=?\s*(\d+(?:\.\d+)?)\s*(?:\+|y|years)?", re.IGNORECASE)


def evaluate_subgroups(
    predictions: Predictions, *, num_resamples: int, seed: int, min_positives: int
) -> tuple[SubgroupResult, ...]:
    """Evaluate every subgroup with the main metric, see ``evaluation.evaluate``."""
    found = []
    for attribute, name, instances in subgroups(predictions):
        group = predictions.select(instances)
        chosen = metric_sets.evaluated_classes(group, min_positives)
        positives: list[int] = []
        if group.kind != "regression":
            positives = group.targets.sum(axis=0).astype(int).tolist()
        result = SubgroupResult(
            attribute=attribute,
            name=name,
            num_instances=group.num_instances,
            num_subjects=len(np.unique(group.subjects)),
            num_positives=dict(zip(group.classes, positives, strict=False)),
            excluded=tuple(np.asarray(group.classes)[~chosen].tolist()),
            estimate=_estimate(group, chosen, num_resamples, seed),
        )
        found.append(result)
    return tuple(found)


def _estimate(group: Predictions, classes: np.ndarray, num_resamples: int, seed: int) -> Estimate:
    if not classes.any():
        return Estimate(float("nan"))
    metric = functools.partial(metric_sets.main_metric, group, classes=classes)
    point = float(metric(np.ones(group.num_instances)))
    strata = get_strata(group)
    if not has_variation(strata):
        return Estimate(point)
    drawn = replicate(
        lambda weights: {"main": metric(weights)},
        group.subjects,
        strata,
        num_resamples=num_resamples,
        seed=seed,
    )
    return confidence_interval(drawn["main"], point)


def subgroups(predictions: Predictions) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield attribute, name and instances [U] bool of every subgroup with instances in it.

    Missing attributes and instances without a value are skipped.
    """
    for attribute, read in (("sex", _sexes), ("age", _ages)):
        if attribute in predictions.attributes:
            values, names = read(predictions.attributes[attribute])
            for name in names:
                if (values == name).any():
                    yield attribute, name, values == name


def num_unknown(predictions: Predictions) -> dict[str, int]:
    """Count the instances without a readable value of each subgroup attribute."""
    counts = {}
    for attribute, read in (("sex", _sexes), ("age", _ages)):
        if attribute in predictions.attributes:
            values, _ = read(predictions.attributes[attribute])
            counts[attribute] = int((values == "").sum())
    return counts


def parse_age(text: str) -> float:
    """Parse an age in years, such as '63', '63.5', '>89', '89+' or '063Y'; NaN for other text."""
    match = _AGE.fullmatch(text.strip())
    return float(match[1]) if match else float("nan")


def _sexes(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    texts = [value.strip() for value in _texts(values)]
    known = np.asarray(["" if text.lower() in _UNKNOWN else text for text in texts], str)
    return known, sorted(set(known.tolist()) - {""})


def _ages(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    years = values if values.dtype.kind == "f" else [parse_age(text) for text in values.tolist()]
    years = np.asarray(years, np.float64)
    names = [name for _, name in AGE_BINS]
    index = np.searchsorted([start for start, _ in AGE_BINS], years, side="right") - 1
    known = np.isfinite(years) & (years >= 0)
    return np.where(known, np.asarray(names)[index], ""), names


def _texts(values: np.ndarray) -> list[str]:
    if values.dtype.kind == "f":
        return ["" if np.isnan(value) else f"{value:g}" for value in values]
    return [str(value) for value in values]

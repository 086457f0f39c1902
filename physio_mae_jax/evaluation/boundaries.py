"""Onsets and offsets of labeled runs of samples, matched within a tolerance.

As in the evaluation of ECG delineation (Martinez et al. 2004; Kalyakulina et al. 2020): a predicted
onset within 150 ms (ANSI/AAMI EC57) of an annotated onset of the same class finds it, one to one.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

TOLERANCE_MS = 150.0
BOUNDARIES = ("onset", "offset")
_UNKNOWN = -1


@dataclasses.dataclass(frozen=True, eq=False)
class Matches:
    """Boundaries of one class in one track.

    Attributes:
        errors: [k] samples from each annotated boundary to the predicted one that found it.
        num_missed: Number of annotated boundaries that none found.
        num_extra: Number of predicted boundaries, at labeled samples, that found none.
    """

    errors: np.ndarray
    num_missed: int
    num_extra: int


def find_boundaries(track: np.ndarray, label: int, known: np.ndarray) -> dict[str, np.ndarray]:
    """Find the first and the last sample of each run of a class.

    Args:
        track: [k] class of each sample.
        label: Class.
        known: [k] bool, False where there is no prediction. The end of a run is a boundary only if
            the next sample is known too, since the run may have continued.

    Returns:
        Samples of the 'onset' and 'offset' of runs.
    """
    inside = (track == label) & known
    padded = np.concatenate([[False], inside, [False]])
    onset = np.flatnonzero(padded[1:-1] & ~padded[:-2])
    offset = np.flatnonzero(padded[1:-1] & ~padded[2:])
    known_beside = np.concatenate([[False], known, [False]])
    return {"onset": onset[known_beside[onset]], "offset": offset[known_beside[offset + 2]]}


def match_boundaries(
    predicted: np.ndarray, targets: np.ndarray, label: int, tolerance: float
) -> dict[str, Matches]:
    """Match the boundaries of a class in one track.

    Args:
        predicted: [k] predicted class of each sample, -1 where there is no prediction.
        targets: [k] annotated class of each sample, -1 without a label.
        label: Class.
        tolerance: Largest distance of a match in samples.

    Returns:
        Matches of 'onset' and 'offset'. A predicted boundary without a match counts only at a
        labeled sample: elsewhere nothing says that it is wrong.
    """
    known = predicted != _UNKNOWN
    annotated = find_boundaries(targets, label, known)
    found = find_boundaries(predicted, label, known)
    results = {}
    for name in BOUNDARIES:
        pairs = np.asarray(
            list(_closest_pairs(annotated[name], found[name], tolerance)), np.int64
        ).reshape(-1, 2)
        unmatched = np.delete(found[name], pairs[:, 1])
        results[name] = Matches(
            errors=found[name][pairs[:, 1]] - annotated[name][pairs[:, 0]],
            num_missed=len(annotated[name]) - len(pairs),
            num_extra=int((targets[unmatched] != _UNKNOWN).sum()),
        )
    return results


def _closest_pairs(
    annotated: np.ndarray, found: np.ndarray, tolerance: float
) -> Iterator[tuple[int, int]]:
    """Yield pairs of indices, the closest first, each index in one pair at most."""
    low = np.searchsorted(found, annotated - tolerance, side="left")
    high = np.searchsorted(found, annotated + tolerance, side="right")
    first = np.repeat(np.arange(len(annotated)), high - low)
    second = np.concatenate([np.arange(a, b) for a, b in zip(low, high, strict=True)] or [low])
    order = np.argsort(np.abs(found[second] - annotated[first]), kind="stable")
    used: tuple[set[int], set[int]] = (set(), set())
    for i, j in zip(first[order].tolist(), second[order].tolist(), strict=True):
        if i not in used[0] and j not in used[1]:
            used[0].add(i)
            used[1].add(j)
            yield i, j

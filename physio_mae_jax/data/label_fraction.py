"""A fraction of the training subjects in which every class is represented."""

from collections.abc import Sequence

import numpy as np

from physio_mae_jax.data.instances import Instances
from physio_mae_jax.errors import ConfigError


def choose_fraction(
    instances: Instances, subjects: Sequence[str], fraction: float, seed: int
) -> Instances:
    """Keep the instances of a fraction of the subjects, with every class represented.

    Args:
        instances: Training instances.
        subjects: [U] subject key of each instance.
        fraction: Fraction of the subjects to keep, in (0, 1].
        seed: Seed of the random choice.

    Returns:
        Instances of at least one subject of every class that occurs: subjects are drawn within
        strata; the stratum of a subject is the rarest class among its instances.
    """
    if not 0 < fraction <= 1:
        raise ConfigError(f"label_fraction must be in (0, 1]; got {fraction}.")
    if fraction == 1:
        return instances
    stratum = rarest_class(instances.targets, subjects, instances.kind)
    rng = np.random.default_rng(seed)
    chosen: set[str] = set()
    for value in sorted(set(stratum.values())):
        members = sorted(name for name, label in stratum.items() if label == value)
        count = max(1, round(fraction * len(members)))
        chosen |= {members[i] for i in rng.permutation(len(members))[:count]}
    return instances.subset(np.flatnonzero([name in chosen for name in subjects]))


def rarest_class(targets: np.ndarray, subjects: Sequence[str], kind: str) -> dict[str, int]:
    """Return the rarest class among each subject's instances; -1 for none and for regression."""
    if kind == "regression":
        return dict.fromkeys(subjects, -1)
    classes_by_subject: dict[str, np.ndarray] = {}
    for name, row in zip(subjects, targets > 0, strict=True):
        classes_by_subject[name] = classes_by_subject.get(name, False) | row
    count = np.sum(list(classes_by_subject.values()), axis=0)
    order = np.argsort(count, kind="stable")
    return {
        name: next((int(c) for c in order if classes[c]), -1)
        for name, classes in classes_by_subject.items()
    }

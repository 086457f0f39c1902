"""Division of recordings into training and held-out ones, never through a subject."""

from collections.abc import Sequence

import numpy as np

from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.errors import DataError


def split_by_subject(
    recordings: Sequence[RecordingInfo],
    indices: Sequence[int],
    held_out_fraction: float,
    seed: int,
) -> tuple[list[int], list[int]]:
    """Hold out a share of the subjects.

    Args:
        recordings: all recordings of a source.
        indices: those to divide.
        held_out_fraction: share of the subjects held out; at least one is, and one is not.
        seed: of the choice, which depends on nothing else but the subjects' ids.

    Returns:
        (training, held-out) indices, each in the given order.

    Raises:
        DataError: there are fewer than two subjects.
    """
    subjects = sorted({recordings[i].subject_id for i in indices})
    if len(subjects) < 2:
        raise DataError(
            f"the data has {len(subjects)} subject ({', '.join(subjects)}), so none can be held "
            "out for validation; add recordings of others, or give each recording its subject in "
            "the manifest."
        )
    num_held_out = min(max(1, round(len(subjects) * held_out_fraction)), len(subjects) - 1)
    chosen = np.random.default_rng(seed).permutation(len(subjects))[:num_held_out]
    held_out = {subjects[i] for i in chosen}
    training = [i for i in indices if recordings[i].subject_id not in held_out]
    validation = [i for i in indices if recordings[i].subject_id in held_out]
    return training, validation

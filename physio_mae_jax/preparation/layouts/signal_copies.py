"""Recordings with identical signals, which count as one subject."""

import dataclasses
from collections import Counter
from collections.abc import Sequence

from physio_mae_jax.preparation.recording import RecordRef

# Conversion of a recording with ``has_copies``.
COPY = "signal identical to that of other recordings: all of them count as one subject"


def mark_copies(refs: Sequence[RecordRef]) -> list[RecordRef]:
    """Add ``has_copies`` to the details: whether others have the same signal, hence subject.

    Args:
        refs: Recordings of a source that identifies signals, not subjects, by ``subject_id``.
    """
    counts = Counter(ref.subject_id for ref in refs)
    return [
        dataclasses.replace(ref, details={**ref.details, "has_copies": counts[ref.subject_id] > 1})
        for ref in refs
    ]

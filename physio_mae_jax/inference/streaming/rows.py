"""The rows of a stream, one per window."""

import dataclasses

import numpy as np

from physio_mae_jax.types import JsonObject


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class StreamRow:
    """One window of a stream.

    Attributes:
        start_seconds, end_seconds: First and last instant, seconds from the start of the stream.
        embedding: Float32 [D], or [W, D] with output='columns'; NaN for a rejected window.
        rejected: '' for an encoded window; 'gap' if values that are not finite touch it; 'flat' if
            no channel varies.
        masked: Names of the channels that are constant or missing throughout the window.
    """

    start_seconds: float
    end_seconds: float
    embedding: np.ndarray
    rejected: str = ""
    masked: tuple[str, ...] = ()

    def to_json(self) -> JsonObject:
        """Return the row as a JSON object; the embedding of a rejected window is null."""
        return {
            "start_seconds": self.start_seconds,
            "end_seconds": self.end_seconds,
            "rejected": self.rejected,
            "masked": list(self.masked),
            "embedding": None if self.rejected else self.embedding.tolist(),
        }

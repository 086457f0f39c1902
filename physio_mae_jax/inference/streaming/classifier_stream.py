"""A signal that is classified while it is received."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from physio_mae_jax.inference.class_decision import ClassDecision
from physio_mae_jax.inference.recording_classifier import decide
from physio_mae_jax.inference.recording_plan import ModelInput
from physio_mae_jax.inference.signal_metadata import SignalMetadata
from physio_mae_jax.inference.streaming.rows import StreamRow
from physio_mae_jax.inference.streaming.stream import Stream, WindowEncoder
from physio_mae_jax.types import JsonObject


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ClassifiedRow(StreamRow):
    """One window of a stream; its embedding are the logits [Y].

    Attributes:
        probabilities: Class -> calibrated probability; NaN for a rejected window.
        decisions: Names of the predicted classes; none for a rejected window.
    """

    probabilities: Mapping[str, float]
    decisions: tuple[str, ...]

    def to_json(self) -> JsonObject:
        """Return the row as a JSON object; the probabilities of a rejected window are null."""
        content = super().to_json()
        del content["embedding"]
        return content | {
            "probabilities": None if self.rejected else dict(self.probabilities),
            "decisions": list(self.decisions),
        }


class ClassifierStream(Stream):
    """A stream whose rows, of ``push`` and ``flush``, are ``ClassifiedRow``."""

    def __init__(
        self,
        encode: WindowEncoder,
        model: ModelInput,
        output_shape: tuple[int, ...],
        fingerprint: str,
        *,
        decision: ClassDecision,
        description: SignalMetadata,
        hop_seconds: object = None,
    ) -> None:
        """Open a stream.

        Args:
            encode: Function from a window to its logits.
            model, output_shape, fingerprint, description, hop_seconds: As for ``Stream``.
            decision: Probabilities and decisions from the logits.
        """
        super().__init__(
            encode,
            model,
            output_shape,
            fingerprint,
            description=description,
            hop_seconds=hop_seconds,
        )
        self._decision = decision

    def _row(self, column: int, num_columns: int) -> ClassifiedRow:
        row = super()._row(column, num_columns)
        probabilities, decisions = decide(self._decision, row.embedding)
        classes = np.asarray(self._decision.classes)
        return ClassifiedRow(
            **vars(row),
            probabilities=dict(zip(classes.tolist(), probabilities.tolist(), strict=True)),
            decisions=tuple(classes[decisions].tolist()),
        )

"""What every classifier of recordings offers, with JAX or without: arrays, files and folders."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.inference.class_decision import ClassDecision
from physio_mae_jax.inference.encoding_report import EncodingReport
from physio_mae_jax.inference.recording_encoder import Encoded, RecordingEncoder
from physio_mae_jax.types import Embeddings, Options


class Classified(NamedTuple):
    """Classes of some recordings.

    Attributes:
        classes: Names of the classes [Y].
        probabilities: Calibrated probabilities [B, Y]; with rows='window' a row for each window,
            [B, n, Y] or lists of [n, Y]. NaN where nothing was classified.
        decisions: Whether each class is predicted, bool, as ``probabilities``; False where nothing
            was classified.
        logits: Logits, averaged over the windows of a recording, as ``probabilities``.
        report: Preprocessing applied to the recordings.
    """

    classes: tuple[str, ...]
    probabilities: Embeddings
    decisions: Embeddings
    logits: Embeddings
    report: EncodingReport


class RecordingClassifier(RecordingEncoder):
    """Classifies recordings by ``encode_source``, which gives logits in place of embeddings."""

    @property
    def decision(self) -> ClassDecision:
        """Probabilities and decisions from the logits."""
        raise NotImplementedError

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.decision.classes

    @property
    def width(self) -> int:
        """Number of classes Y, the size of what ``encode`` returns."""
        return len(self.classes)

    def predict(self, signal: object, **settings: Options) -> Classified:
        """Classify recordings.

        Args:
            signal: Recordings, as for ``RecordingEncoder.encode_with_report``.
            **settings: Its other arguments but output, such as sampling_rate_hz and channels;
                rows='window' classifies each window.

        Raises:
            UserError: The input is missing, unknown or invalid; the message suggests a fix.
        """
        return self._classified(self.encode_with_report(signal, **_without_output(settings)))

    def predict_file(self, path: str | Path, **options: Options) -> Classified:
        """Classify a file of any format that training reads; options as for ``encode_file``."""
        return self._classified(self.encode_file(path, **_without_output(options)))

    def predict_folder(self, path: str | Path, **options: Options) -> Classified:
        """Classify all recordings of a folder; options as for ``encode_folder``."""
        return self._classified(self.encode_folder(path, **_without_output(options)))

    def _classified(self, encoded: Encoded) -> Classified:
        logits = encoded.embeddings
        if isinstance(logits, list):
            pairs = [decide(self.decision, rows) for rows in logits]
            probabilities: Embeddings = [one for one, _ in pairs]
            decisions: Embeddings = [one for _, one in pairs]
        else:
            probabilities, decisions = decide(self.decision, logits)
        return Classified(self.classes, probabilities, decisions, logits, encoded.report)


def decide(decision: ClassDecision, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the probabilities and the decisions [..., Y] of logits, which may be NaN."""
    rows = logits.reshape(-1, logits.shape[-1]).astype(np.float64)
    probabilities = decision.probabilities(rows)
    decisions = decision.predict_classes(probabilities).astype(bool)
    decisions &= np.isfinite(rows)
    return probabilities.reshape(logits.shape), decisions.reshape(logits.shape)


def _without_output(settings: Options) -> Options:
    if "output" in settings:
        raise ConfigError(
            f"output is {settings['output']!r}, but a classifier gives classes alone; leave it "
            "out. Embeddings are given by the encoder that the run was initialized from."
        )
    return settings

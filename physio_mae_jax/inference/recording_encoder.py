"""What every encoder of recordings offers, with JAX or without: arrays, files and folders."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from physio_mae_jax.data.source import SignalSource
from physio_mae_jax.inference.arguments import sequence_of
from physio_mae_jax.inference.encoding_config import EncodingConfig
from physio_mae_jax.inference.encoding_report import EncodingReport
from physio_mae_jax.inference.inputs import as_recordings
from physio_mae_jax.inference.notes import Note
from physio_mae_jax.inference.recording_plan import ModelInput, rows_of
from physio_mae_jax.inference.signal_metadata import SignalMetadata
from physio_mae_jax.types import Embeddings, Options


class Encoded(NamedTuple):
    """Embeddings of some recordings.

    Attributes:
        embeddings: Embeddings as ``Encoder.encode`` returns them.
        report: Preprocessing applied to the recordings.
    """

    embeddings: Embeddings
    report: EncodingReport


class RecordingEncoder:
    """Encodes recordings by ``encode_source``, which a subclass defines."""

    @property
    def input(self) -> ModelInput:
        """Windows that the model takes, for any channels of a recording."""
        raise NotImplementedError

    @property
    def width(self) -> int:
        """Size D of an embedding."""
        raise NotImplementedError

    def encode_source(
        self, source: SignalSource, config: EncodingConfig, notes: Sequence[Note] = ()
    ) -> tuple[list[np.ndarray], EncodingReport]:
        """Encode every recording of a source with known gaps, each as ``encode`` does."""
        raise NotImplementedError

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the known channels."""
        return self.input.channels

    def rows_of(self, names: Sequence[str], *, derive_leads: bool = False) -> tuple[str, ...]:
        """Return the row names of output='channels' for a recording with such channels."""
        return rows_of(names, self.input, derive_leads=derive_leads)

    def encode(self, signal: object, **settings: Options) -> Embeddings:
        """Return embeddings; arguments as for ``encode_with_report``."""
        return self.encode_with_report(signal, **settings).embeddings

    def encode_with_report(
        self,
        signal: object,
        *,
        sampling_rate_hz: float | Sequence[float] | None = None,
        channels: object = None,
        units: str | Sequence[str] = "",
        gain: object = None,
        names: Sequence[str] | None = None,
        **settings: object,
    ) -> Encoded:
        """Encode recordings and report the preprocessing applied to them.

        Each channel is resampled, cut into windows and normalized as in training. Overlapping
        windows are averaged so that every instant has the same weight; padding is masked.

        Args:
            signal: Samples [M, n] of one recording, [B, M, n] of several, [n] of one channel, a
                data frame with a column per channel, or a list of recordings of any lengths.
            sampling_rate_hz: Sampling rate in Hz; for a list, one for all or one each.
            channels: Name of each row, in any order and any spelling known to
                ``signals.channels``; for a list, one list of names for all or one each.
            units: Units of the channels, or one for all; '' where unknown.
            gain: ADC counts per unit, if the samples are ADC counts.
            names: Names of the recordings, for the report.
            **settings: Fields of ``encoding_config.EncodingConfig``, such as output='pooled',
                rows='recording', overlap=0.5, on_invalid='error'.

        Returns:
            Float32 embeddings: 'pooled' [B, D]; 'channels' [B, M, D], rows as in
            ``report.channels``, NaN where a channel is never present; 'columns' [B, W, D] for each
            time column; 'tokens' [B, M, W, H, D]. For a list of recordings, the last three are
            lists of arrays without B. With rows='window' one row per window [B, n, D], or lists of
            them; ``report.windows`` has the times of the windows.

        Raises:
            UserError: The input is missing, unknown or invalid; the message suggests a fix.
        """
        config = sequence_of(EncodingConfig, settings)
        description = SignalMetadata(
            sampling_rate_hz=sampling_rate_hz,
            channels=channels,
            units=units,
            gain=gain,
            names=names,
        )
        pooled = config.output == "pooled" and not config.by_window
        # scikit-learn pipelines may pass a batch without recordings.
        given = as_recordings(signal, description, self.channels, may_be_empty=pooled)
        rows, report = self.encode_source(given.recordings, config, given.notes)
        if not rows:
            return Encoded(np.zeros((0, self.width), np.float32), report)
        stacked = pooled or not isinstance(signal, list | tuple)
        return Encoded(np.stack(rows) if stacked else rows, report)

    def encode_file(self, path: str | Path, **options: Options) -> Encoded:
        """Encode a file of any format that training reads; see ``encode_files.encode_file``."""
        from physio_mae_jax.inference.encode_files import encode_file  # loads the data pipeline

        return Encoded(*encode_file(self.encode_source, path, **options))

    def encode_folder(self, path: str | Path, **options: Options) -> Encoded:
        """Encode all recordings of a folder; see ``encode_files.encode_folder``."""
        from physio_mae_jax.inference.encode_files import encode_folder

        return Encoded(*encode_folder(self.encode_source, path, **options))

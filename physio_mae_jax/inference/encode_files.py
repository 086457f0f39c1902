"""Encoding of files and folders as they are on disk, with rate, names and units from the files.

They are read by the source of ``data=folder``, so every format that training reads is encoded
alike.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.folder import FolderSource, open_file, open_folder
from physio_mae_jax.data.gap_scan import ScannedRecordings
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.source import SignalSource
from physio_mae_jax.inference.arguments import plain, sequence_of
from physio_mae_jax.inference.encoding_config import EncodingConfig
from physio_mae_jax.inference.encoding_report import EncodingReport
from physio_mae_jax.inference.notes import READ, REJECTED, Note
from physio_mae_jax.local_paths import local_path
from physio_mae_jax.types import Embeddings

# Encodes every recording of a source with known gaps, see ``Encoder.encode_source``.
EncodeSource = Callable[[SignalSource, EncodingConfig], tuple[list[np.ndarray], EncodingReport]]


def encode_file(
    encode_source: EncodeSource,
    path: str | Path,
    *,
    sampling_rate_hz: float | None = None,
    channels: Sequence[str] | Mapping[str, str] | None = None,
    units: str | None = None,
    **settings: object,
) -> tuple[Embeddings, EncodingReport]:
    """Encode the recordings of one file, or of a folder that is one recording.

    Args:
        encode_source: Encoder, see ``Encoder.encode_source``.
        path: File of any format that ``data=folder`` reads, or folder of one export, such as that
            of an Empatica E4.
        sampling_rate_hz: Sampling rate in Hz of a file that does not state it.
        channels: Channels to encode, or names in the file -> names to use; the names of the rows
            of a file that has none. None for all.
        units: Unit of a file that does not state it.
        **settings: Fields of ``EncodingConfig``.

    Returns:
        Embeddings as of a list of recordings, see ``Encoder.encode_with_report``, and the report.

    Raises:
        DataError: The file is missing or broken, or does not describe itself.
        UserError: A channel is unknown to the model, or a setting is invalid.
    """
    local_path(path, "path")
    given = {"sampling_rate_hz": sampling_rate_hz, "channels": channels, "units": units}
    stated = {key: plain(value) for key, value in given.items() if value is not None}
    source = open_file(path, stated)
    return _encode(encode_source, source, sequence_of(EncodingConfig, settings))


def encode_folder(
    encode_source: EncodeSource,
    path: str | Path,
    *,
    channels: str = "",
    manifest: str | Path | None = None,
    **settings: object,
) -> tuple[Embeddings, EncodingReport]:
    """Encode all recordings of a folder.

    Args:
        encode_source: Encoder, see ``Encoder.encode_source``.
        path: Folder, as for ``data=folder``.
        channels: Channels to encode, see ``signals.channels.select_channels``; '' for all.
        manifest: Manifest path; None for ``manifest.json`` in the folder, if present.
        **settings: Fields of ``EncodingConfig``; with on_invalid='skip' files that cannot be read
            are excluded with a warning.

    Returns:
        Embeddings as of a list of recordings, see ``Encoder.encode_with_report``, and the report.

    Raises:
        DataError: The folder is missing, or a file is broken or does not describe itself.
        UserError: A channel is unknown to the model, or a setting is invalid.
    """
    local_path(path, "path")
    config = sequence_of(EncodingConfig, settings)
    skip = config.on_invalid == "skip"
    source = open_folder(path, manifest, skip_unreadable=skip, channels=channels)
    return _encode(encode_source, source, config)


def _encode(
    encode_source: EncodeSource, source: FolderSource, config: EncodingConfig
) -> tuple[Embeddings, EncodingReport]:
    joined = ConcatSource([source], [range(len(source.recordings))])
    skip = config.on_invalid == "skip"
    scanned = ScannedRecordings(joined, range(len(joined.recordings)), skip_unreadable=skip)
    rows, report = encode_source(scanned, config)
    notes = (*_origins(source, scanned), *_unreadable(scanned), *report.notes)
    stacked = config.output == "pooled" and not config.by_window
    embeddings = np.stack(rows) if stacked and rows else rows
    return embeddings, dataclasses.replace(report, notes=notes)


def _origins(source: FolderSource, scanned: ScannedRecordings) -> list[Note]:
    """Return a note on each recording: its format, and where rate, names and units came from."""
    return [
        Note(READ, str(source.origin(index)), info.record_id)
        for index, info in zip(scanned.indices, scanned.recordings, strict=True)
    ]


def _unreadable(scanned: ScannedRecordings) -> list[Note]:
    return [Note(REJECTED, f"whole: {reason}", name) for name, reason in scanned.unreadable]

"""A prepared data set as a source of recordings, read from its array_record files."""

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from physio_mae_jax.data import prepared_index
from physio_mae_jax.data.prepared_index import PreparedMetadata, PreparedRecord, Shard
from physio_mae_jax.data.regular_file import regular_size
from physio_mae_jax.data.sample_cache import SampleCache
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.quality import NOT_FINITE
from physio_mae_jax.signals.rates import check_rate

_LOG = logging.getLogger(__name__)


class PreparedSource:
    """Recordings of a prepared data set; a thread-safe ``SignalSource``.

    Attributes:
        metadata: Properties shared by all recordings.
        records: Index entry of each recording, in the order of ``recordings``.
    """

    def __init__(self, folder: Path, cache: SampleCache | None = None) -> None:
        """Open the data set in ``folder``; samples are read on demand and cached in ``cache``.

        Raises:
            DataError: the data set is missing or damaged.
        """
        self.folder = folder
        self._cache = cache or SampleCache(0)
        self._cache_name = str(folder)
        self.metadata: PreparedMetadata = prepared_index.read_metadata(folder)
        self.records: Sequence[PreparedRecord] = prepared_index.read_prepared_index(
            folder, self.metadata
        )
        self._examples = _open_examples(folder, self.metadata.shards)
        self._recordings = tuple(_info(record, self.metadata.name) for record in self.records)

    @property
    def recordings(self) -> Sequence[RecordingInfo]:
        """Metadata of every recording; index i is index i of ``read``."""
        return self._recordings

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        """Return samples [start, stop) of recording ``index``, see ``SignalSource``."""
        record = self.records[index]
        self._recordings[index].reject_outside(start, stop)
        if start == stop:
            return np.zeros((len(record.channels), 0), np.float32)
        first = start // record.segment_samples
        last = (stop - 1) // record.segment_samples
        parts = [self._segment(record, number) for number in range(first, last + 1)]
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        offset = first * record.segment_samples
        return joined[:, start - offset : stop - offset]

    def block_hashes(self, index: int) -> Sequence[int]:
        """Return ``data.fingerprints.block_hashes`` of a recording without reading it."""
        return self.records[index].block_hashes

    def _segment(self, record: PreparedRecord, number: int) -> np.ndarray:
        key = (self._cache_name, record.first_example + number)
        signal = self._cache.get(key)
        if signal is None:
            signal = self._decode(record, key[1])
            self._cache.add(key, signal)
        return signal

    def _decode(self, record: PreparedRecord, example: int) -> np.ndarray:
        try:
            record_id, signal = self._examples[example]
        except Exception as error:  # tfds, array_record and protobuf raise many types
            raise DataError(
                f"{self.folder} is damaged: the samples of recording {record.record_id} cannot be "
                f"read ({type(error).__name__}: {str(error)[:300]}); prepare the data set again "
                "with --overwrite."
            ) from error
        if record_id != record.record_id:
            raise DataError(
                f"{self.folder} is damaged: expected recording {record.record_id}, found "
                f"{record_id}; prepare the data set again with --overwrite."
            )
        start = (example - record.first_example) * record.segment_samples
        length = min(record.segment_samples, record.num_samples - start)
        if signal.shape != (len(record.channels), length):
            raise DataError(
                f"{self.folder} is damaged: an example of recording {record.record_id} has "
                f"shape {list(signal.shape)}, its index {[len(record.channels), length]}; "
                "prepare the data set again with --overwrite."
            )
        return signal


def find_prepared(root: Path, name: str) -> Path | None:
    """Find the folder of a prepared data set.

    Args:
        root: Folder of prepared data sets (``--out`` of the preparation).
        name: 'name' or 'name/variant'.

    Returns:
        The folder of its newest version; None if there is none. If ``name`` has no variant and
        there are several, the first one by name is used and logged.
    """
    base = root / name
    versions = _versions(base)
    if versions:
        return versions[-1]
    variants = {
        child.name: _versions(child)
        for child in sorted(base.iterdir() if base.is_dir() else ())
        if _versions(child)
    }
    if len(variants) > 1:
        known = ", ".join(f"{name}/{variant}" for variant in variants)
        _LOG.info("using %s, the first of the variants %s", known.split(",")[0], known)
    return next(iter(variants.values()))[-1] if variants else None


def _versions(folder: Path) -> list[Path]:
    """Return the prepared versions directly in a folder, oldest first."""
    if not folder.is_dir():
        return []
    found = []
    for child in folder.iterdir():
        numbers = child.name.split(".")
        is_complete = os.path.lexists(child / prepared_index.METADATA_FILE)
        is_complete |= prepared_index.has_former_version(child)
        if is_complete and re.fullmatch(r"\d{1,9}(\.\d{1,9}){2}", child.name, re.ASCII):
            found.append((tuple(map(int, numbers)), child))
    return [child for _, child in sorted(found)]


class _FileInstruction(NamedTuple):
    """Examples [skip, skip + take) of a file, in the form that array_record reads."""

    filename: str
    skip: int
    take: int
    examples_in_shard: int


class _Examples:
    """Signal and record id of each example; other fields are not decoded.

    The features are defined here and not read from the folder: tfds would import any module that
    is named in ``features.json``.
    """

    def __init__(self, folder: Path, shards: Sequence[Shard]) -> None:
        # Imported here, as it takes half a second and only prepared data needs it.
        import tensorflow_datasets as tfds
        from array_record.python.array_record_data_source import ArrayRecordDataSource

        features = tfds.features
        signal = features.Tensor(
            shape=(None, None), dtype=np.float32, encoding=features.Encoding.BYTES
        )
        self._features = features.FeaturesDict({"signal": signal, "record_id": features.Text()})
        self._serialized = ArrayRecordDataSource(
            [
                _FileInstruction(
                    str(folder / shard.file), 0, shard.num_examples, shard.num_examples
                )
                for shard in shards
                if shard.num_examples
            ]
        )

    def __getitem__(self, index: int) -> tuple[str, np.ndarray]:
        example = self._features.deserialize_example_np(self._serialized[index])
        return example["record_id"].decode(), example["signal"]


def _open_examples(folder: Path, shards: Sequence[Shard]) -> _Examples:
    for shard in shards:
        found = regular_size(folder / shard.file, prepared_index.HINT)
        if found != shard.num_bytes:
            raise DataError(
                f"{folder / shard.file} has {found:,} bytes, but {shard.num_bytes:,} were written; "
                f"{prepared_index.HINT}"
            )
    try:
        return _Examples(folder, shards)
    except Exception as error:  # tfds, array_record and protobuf raise many types
        raise DataError(
            f"{folder} cannot be opened ({type(error).__name__}: {str(error)[:300]}); prepare the "
            "data set again with --overwrite."
        ) from error


def _info(record: PreparedRecord, data_set: str) -> RecordingInfo:
    gaps = tuple(
        (record.channels.index(finding["channel"]), int(start), int(stop))
        for finding in record.findings
        if finding["kind"] == NOT_FINITE
        for start, stop in finding["runs"]
    )
    check_rate(
        record.sampling_rate_hz,
        record.channels,
        f"recording {record.record_id} of {data_set}",
        "Correct the rate in its source, and prepare the data set again with --overwrite.",
    )
    return RecordingInfo(
        record_id=record.record_id,
        subject_id=record.subject_id,
        channel_names=record.channels,
        sampling_rate_hz=record.sampling_rate_hz,
        num_samples=record.num_samples,
        data_set=data_set,
        units=record.units,
        gaps=gaps,
        attributes=record.attributes,
    )

"""A prepared data set as a source of recordings, read from its array_record files."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data import prepared_index
from physio_mae_jax.data.prepared_index import PreparedContract, PreparedRecord
from physio_mae_jax.data.sample_cache import SampleCache
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.quality import NOT_FINITE

_LOG = logging.getLogger(__name__)


class PreparedSource:
    """Recordings of a prepared data set; a ``SignalSource`` safe to share between threads.

    Attributes:
        contract: what the recordings have in common.
        records: what the index says of each, in the order of ``recordings``.
    """

    def __init__(self, folder: Path, cache: SampleCache | None = None) -> None:
        """Open the data set in ``folder``; its samples are read later, and kept in ``cache``.

        Raises:
            DataError: there is none, or it is damaged.
        """
        self.folder = folder
        self._cache = cache or SampleCache(0)
        self._cache_name = str(folder)
        self.contract: PreparedContract = prepared_index.read_contract(folder)
        self.records: Sequence[PreparedRecord] = prepared_index.read_index(folder)
        self._examples = _open_examples(folder)
        self._recordings = tuple(_info(record, self.contract.name) for record in self.records)
        held = sum(record.num_examples for record in self.records)
        if held != len(self._examples):
            raise DataError(
                f"{folder} is damaged: its index lists {held} examples, its files hold "
                f"{len(self._examples)}; prepare the data set again with --overwrite."
            )

    @property
    def recordings(self) -> Sequence[RecordingInfo]:
        """Describe every recording; index i here is index i of ``read``."""
        return self._recordings

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        """Return samples [start, stop) of recording ``index``, see ``SignalSource``."""
        record = self.records[index]
        self._recordings[index].refuse_outside(start, stop)
        if start == stop:
            return np.zeros((len(record.channels), 0), np.float32)
        first = start // record.segment_samples
        last = (stop - 1) // record.segment_samples
        parts = [self._segment(record, number) for number in range(first, last + 1)]
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        offset = first * record.segment_samples
        return whole[:, start - offset : stop - offset]

    def block_hashes(self, index: int) -> Sequence[int]:
        """Return ``data.fingerprints.block_hashes`` of a recording without reading it."""
        return self.records[index].block_hashes

    def _segment(self, record: PreparedRecord, number: int) -> np.ndarray:
        key = (self._cache_name, record.first_example + number)
        signal = self._cache.get(key)
        if signal is None:
            signal = self._decoded(record, key[1])
            self._cache.add(key, signal)
        return signal

    def _decoded(self, record: PreparedRecord, example: int) -> np.ndarray:
        try:
            record_id, signal = self._examples[example]
        except Exception as error:  # of tfds, array_record and protobuf: a dozen kinds
            raise DataError(
                f"{self.folder} is damaged: the samples of recording {record.record_id} cannot be "
                f"read ({type(error).__name__}: {str(error)[:300]}); prepare the data set again "
                "with --overwrite."
            ) from error
        if record_id != record.record_id:
            raise DataError(
                f"{self.folder} is damaged: where recording {record.record_id} should be lies "
                f"{record_id}; prepare the data set again with --overwrite."
            )
        return signal


def find_prepared(root: Path, name: str) -> Path | None:
    """Find the folder of a prepared data set.

    Args:
        root: the ``--out`` of its preparation.
        name: 'name' or 'name/variant'.

    Returns:
        The folder of its newest version; None where there is none. Of several variants, where
        ``name`` names none, the first by name is taken, and that is said.
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
        _LOG.info("%s is taken, the first of %s", known.split(",")[0], known)
    return next(iter(variants.values()))[-1] if variants else None


def _versions(folder: Path) -> list[Path]:
    """Return the prepared versions directly in a folder, oldest first."""
    if not folder.is_dir():
        return []
    found = []
    for child in folder.iterdir():
        numbers = child.name.split(".")
        whole = (child / prepared_index.CONTRACT_FILE).is_file()
        if whole and len(numbers) == 3 and all(number.isdigit() for number in numbers):
            found.append((tuple(map(int, numbers)), child))
    return [child for _, child in sorted(found)]


class _Examples:
    """Signal and record id of each example, nothing else being decoded."""

    def __init__(self, folder: Path) -> None:
        import tensorflow_datasets as tfds  # half a second, paid by those who read prepared data

        builder = tfds.builder_from_directory(folder)
        features = builder.info.features
        wanted = {name: features[name] for name in ("signal", "record_id")}
        self._features = tfds.features.FeaturesDict(wanted)
        self._serialized = builder.as_data_source(split=prepared_index.SPLIT_NAME).data_source

    def __len__(self) -> int:
        return len(self._serialized)

    def __getitem__(self, index: int) -> tuple[str, np.ndarray]:
        example = self._features.deserialize_example_np(self._serialized[index])
        return example["record_id"].decode(), example["signal"]


def _open_examples(folder: Path) -> _Examples:
    try:
        return _Examples(folder)
    except Exception as error:  # of tfds, array_record and protobuf: a dozen kinds
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

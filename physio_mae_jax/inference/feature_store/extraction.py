"""Embeddings of whole data sets: tables in shards, each written atomically, and one index.

Shard i belongs to process i modulo the number of processes. The processes do not communicate:
whichever finds all shards complete writes the index. Processes may therefore start, stop and be
rerun in any order, and existing shards are not recomputed.
"""

import dataclasses
import hashlib
import itertools
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import jax
import numpy as np
from tqdm import tqdm

from physio_mae_jax import atomic_files
from physio_mae_jax.data.gap_scan import ScannedRecordings
from physio_mae_jax.data.json_reader import read_json
from physio_mae_jax.data.json_types import check_types
from physio_mae_jax.data.labels import RecordingLabels
from physio_mae_jax.data.sealed_json import add_seal
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference.encoder import Encoder
from physio_mae_jax.inference.encoding_config import EncodingConfig
from physio_mae_jax.inference.encoding_report import EncodingReport
from physio_mae_jax.inference.feature_store.files import describe_for_tfds, get_format, write_table
from physio_mae_jax.inference.feature_store.index import (
    INDEX_FILE,
    About,
    FeatureMetadata,
    FeatureShard,
    file_sha256,
)
from physio_mae_jax.inference.feature_store.table import FeatureTable
from physio_mae_jax.inference.notes import REJECTED
from physio_mae_jax.inference.window_rows import WindowTimes
from physio_mae_jax.types import JsonObject

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """Settings of feature extraction.

    Attributes:
        format: File format: 'npz', 'parquet' or 'array_record'.
        recordings_per_shard: Recordings per file; an interruption loses at most this many.
        encoding: Options of the encoding, with output 'pooled'.
    """

    format: str
    recordings_per_shard: int
    encoding: EncodingConfig

    def __post_init__(self) -> None:
        get_format(self.format)
        if self.encoding.output != "pooled":
            raise ConfigError(f"output must be 'pooled' for a table; got {self.encoding.output!r}.")
        if self.recordings_per_shard < 1:
            raise ConfigError(
                f"recordings_per_shard must be >= 1; got {self.recordings_per_shard}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureRun:
    """Components of an extraction.

    Attributes:
        workdir: Absolute path of the folder of the tables.
        config: Settings of the extraction.
        encoder: Encoder that computes the features.
        source: Source of the recordings.
        splits: Recording index -> 'train', 'validation' or 'test'; empty without a split.
        labels: Labels of all recordings, by task.
        content_hashes: Content hashes of prepared data sets.
        process_index, process_count: Index of this process and number of processes.
    """

    workdir: Path
    config: FeatureConfig
    encoder: Encoder
    source: ConcatSource
    splits: Mapping[int, str]
    labels: Sequence[RecordingLabels]
    content_hashes: Mapping[str, str]
    process_index: int = 0
    process_count: int = 1


class _Summary(TypedDict):
    """Content of the JSON file beside a shard."""

    fingerprint: str
    num_rows: int
    sha256: str
    rejected: Mapping[str, str]
    notes: Sequence[Sequence[Any]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Shard:
    """A group of recordings and the files of their features."""

    number: int
    indices: Sequence[int]
    path: Path
    fingerprint: str

    @property
    def summary_path(self) -> Path:
        """Path of the file beside the table, written last: it exists only for a complete shard."""
        return self.path.with_name(self.path.name + ".json")

    def summary(self) -> _Summary | None:
        """Return the shard's summary; None if it is incomplete or has other settings."""
        try:
            found = read_json(self.summary_path, "run the extraction again.")
            summary = check_types(
                _Summary, found, str(self.summary_path), "run the extraction again."
            )
        except DataError:
            return None
        there = summary["fingerprint"] == self.fingerprint
        return summary if there and (self.path.is_file() or not summary["num_rows"]) else None


def extract_features(run: FeatureRun) -> Path | None:
    """Compute this process's shards and, once all are complete, the index.

    Returns:
        Path of the index; None while other processes still have shards to compute.
    """
    shards = _shards(run)
    mine = shards[run.process_index :: run.process_count]
    missing = [shard for shard in mine if shard.summary() is None]
    if len(missing) < len(mine):
        _LOG.info("%d of %d shards are already complete", len(mine) - len(missing), len(mine))
    total = sum(len(shard.indices) for shard in missing)
    with tqdm(total=total, unit=" recordings", disable=not sys.stderr.isatty()) as bar:
        for shard in missing:
            report = _make(run, shard)
            bar.update(len(shard.indices))
            if report is not None:
                _LOG.info("shard %d of %d\n%s", shard.number + 1, len(shards), report)
    summaries = [shard.summary() for shard in shards]
    if any(summary is None for summary in summaries):
        _LOG.info("%d shards are still missing", sum(s is None for s in summaries))
        return None
    return _write_index(run, shards, [summary for summary in summaries if summary is not None])


def _shards(run: FeatureRun) -> list[_Shard]:
    size, count = run.config.recordings_per_shard, len(run.source.recordings)
    number_of_shards = -(-count // size)
    settings = _settings(run.config) | {"encoder": run.encoder.fingerprint}
    settings["encoding"].pop("num_threads")
    settings["labels"] = {task.task: list(task.classes) for task in run.labels}
    shards = []
    for number in range(number_of_shards):
        indices = range(number * size, min(count, (number + 1) * size))
        held = [_identity(run, index) for index in indices]
        identity = json.dumps([settings, dict(run.content_hashes), held], sort_keys=True)
        shards.append(
            _Shard(
                number=number,
                indices=indices,
                path=run.workdir / get_format(run.config.format).name(number, number_of_shards),
                fingerprint=hashlib.sha256(identity.encode()).hexdigest(),
            )
        )
    return shards


def _settings(config: FeatureConfig) -> JsonObject:
    """Return the settings as JSON; with rows of recordings as versions without 'rows' wrote it."""
    settings = dataclasses.asdict(config)
    if not config.encoding.by_window:
        del settings["encoding"]["rows"]
    return settings


def _identity(run: FeatureRun, index: int) -> list[object]:
    """Return the inputs that determine a recording's row, except the samples of prepared data."""
    info = run.source.recordings[index]
    labels = [(task.known[index].item(), task.values[index].tolist()) for task in run.labels]
    return [
        *(info.data_set, info.subject_id, info.record_id, info.num_samples),
        *(info.sampling_rate_hz, info.channel_names, info.units),
        *(run.splits.get(index, ""), run.source.version(index), labels),
    ]


def _make(run: FeatureRun, shard: _Shard) -> EncodingReport | None:
    """Encode the recordings of a shard and write them; None if none can be read."""
    config = run.config
    skip = config.encoding.on_invalid == "skip"
    scanned = ScannedRecordings(run.source, shard.indices, skip_unreadable=skip)
    report, table = None, None
    rejected = dict(scanned.unreadable)
    if scanned.indices:
        rows, report = run.encoder.encode_source(scanned, config.encoding)
        table, empty = _table(run, scanned.indices, rows, report.windows)
        texts = {note.recording: note.text for note in report.of(REJECTED)}
        rejected |= {name: texts.get(name, "no window of it varies") for name in empty}
    num_rows = 0 if table is None else len(table)
    with atomic_files.disk_full_as_user_error(run.workdir):
        if table is not None and num_rows:
            write_table(table, shard.path, get_format(config.format))
        atomic_files.write_json(
            shard.summary_path,
            {
                "fingerprint": shard.fingerprint,
                "num_rows": num_rows,
                "sha256": file_sha256(shard.path) if num_rows else "",
                "rejected": rejected,
                "notes": [] if report is None else [list(note) for note in report.notes],
            },
        )
    return report


def _table(
    run: FeatureRun,
    indices: Sequence[int],
    embeddings: Sequence[np.ndarray],
    windows: Sequence[WindowTimes] = (),
) -> tuple[FeatureTable, list[str]]:
    """Return the table of the encoded recordings, and the ids of the rejected ones.

    Args:
        run: Components of the extraction.
        indices: Indices of the recordings.
        embeddings: One array per recording, [D], or [n, D] with a row per window.
        windows: Times of the windows of each recording, where rows are windows.
    """
    by_window = run.config.encoding.by_window
    could = [bool(len(one)) if by_window else bool(np.isfinite(one).all()) for one in embeddings]
    lost = [i for i, fine in zip(indices, could, strict=True) if not fine]
    kept = list(itertools.compress(indices, could))
    rows = [np.atleast_2d(one) for one in itertools.compress(embeddings, could)]
    index_of_row = [index for index, one in zip(kept, rows, strict=True) for _ in one]
    infos = [run.source.recordings[index] for index in index_of_row]
    labels = {}
    for task in run.labels:
        values = np.where(task.known[:, None], task.values, np.int8(-1))
        labels[task.task] = values[index_of_row].astype(np.int8)
    width = run.encoder.programs.config.width
    table = FeatureTable(
        embedding=np.concatenate([np.zeros((0, width), np.float32), *rows]),
        record_id=np.asarray([info.record_id for info in infos], str),
        subject_id=np.asarray([info.subject_id for info in infos], str),
        data_set=np.asarray([info.data_set for info in infos], str),
        split=np.asarray([run.splits.get(index, "") for index in index_of_row], str),
        labels=labels,
        classes={task.task: list(task.classes) for task in run.labels},
        model_spec=run.encoder.trained.model_spec.to_json(),
        rows=run.config.encoding.rows,
        **_joined_times(windows),
    )
    return table, [run.source.recordings[index].record_id for index in lost]


def _joined_times(windows: Sequence[WindowTimes]) -> dict[str, np.ndarray]:
    """Return the times of the windows of all recordings, by column; empty without windows."""
    fields = WindowTimes._fields if windows else ()
    return {name: np.concatenate([getattr(one, name) for one in windows]) for name in fields}


def _write_index(run: FeatureRun, shards: Sequence[_Shard], summaries: Sequence[_Summary]) -> Path:
    """Summarize all shards; every process would write the same index."""
    kind, held = run.config.format, [int(summary["num_rows"]) for summary in summaries]
    rejected = {name: why for summary in summaries for name, why in summary["rejected"].items()}
    about, _ = _table(run, [], [])
    index = FeatureMetadata(
        format=kind,
        about=About(**about.about()),
        embedding_size=about.embedding.shape[1],
        encoder={
            "origin": run.encoder.trained.origin,
            "fingerprint": run.encoder.fingerprint,
        },
        settings=_settings(run.config),
        data=dict(run.content_hashes),
        num_rows=sum(held),
        shards=tuple(
            FeatureShard(file=shard.path.name, num_rows=count, sha256=summary["sha256"])
            for shard, count, summary in zip(shards, held, summaries, strict=True)
        ),
        rejected=rejected,
    )
    with atomic_files.disk_full_as_user_error(run.workdir):
        if kind == "array_record":
            describe_for_tfds(run.workdir, about, held)
        content = dataclasses.asdict(index) | {"about": about.about()}
        atomic_files.write_json(run.workdir / INDEX_FILE, add_seal(content))
    _LOG.info("%d embeddings in %d shards, %d rejected", sum(held), len(shards), len(rejected))
    return run.workdir / INDEX_FILE


def process_share(process_index: int, process_count: int) -> tuple[int, int]:
    """Return this process's index and count: as given, or from JAX if the count is 0.

    Raises:
        ConfigError: The index is not below the count.
    """
    if not process_count:
        return jax.process_index(), jax.process_count()
    if not 0 <= process_index < process_count:
        raise ConfigError(
            f"process_index={process_index} must lie in [0, process_count={process_count})."
        )
    return process_index, process_count

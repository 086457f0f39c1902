"""The tfds builder of every data set: plan shards, write them, move them to their final path.

Shards are written into ``<root>/<name>[/<variant>]/.preparing-<version>``, where complete
shards of an interrupted run are reused. The data set is moved to its final path only when all
shards are complete.
"""

import dataclasses
import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, cast

import tensorflow_datasets as tfds

from physio_mae_jax.atomic_files import write_text
from physio_mae_jax.data import prepared_index
from physio_mae_jax.data.prepared_index import PreparedMetadata, PreparedRecord
from physio_mae_jax.data.sealed_json import add_seal
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.preparation.channel_units import collect_channel_units
from physio_mae_jax.preparation.examples import features
from physio_mae_jax.preparation.executors import Executor, process_executor
from physio_mae_jax.preparation.recording import DatasetLayout
from physio_mae_jax.preparation.report import PreparationReport, format_rejections
from physio_mae_jax.preparation.shard_plan import plan_shards, source_bytes
from physio_mae_jax.preparation.shards import (
    UNREADABLE,
    RejectedRecording,
    ShardSummary,
    ShardTask,
    read_summary,
)
from physio_mae_jax.preparation.staging import (
    LOCK,
    disk_full_as_user_error,
    link_or_copy,
    lock_staging,
    reject_existing,
    remove_leftover_staging,
    replace_folder,
)

_LOG = logging.getLogger(__name__)
ProgressCallback = Callable[[ShardSummary], None]

_COMPLETE = "whole"


class RecordingBuilder(tfds.core.DatasetBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Base class of the builders; ``make_builder`` creates one for a layout."""

    VERSION = tfds.core.Version("1.0.0")
    layout: DatasetLayout

    def __init__(
        self,
        *,
        source: Path,
        executor: Executor | None = None,
        on_invalid: str = "error",
        progress: ProgressCallback = lambda summary: None,
        **options: object,
    ) -> None:
        """Create a builder.

        Args:
            source: Raw data folder.
            executor: Executor that writes the shards; defaults to this process.
            on_invalid: 'error' to raise on unusable recordings, 'skip' to skip and list them.
            progress: Called after each shard.
            **options: Arguments of ``tfds.core.DatasetBuilder``, such as ``data_dir``.

        Raises:
            ConfigError: ``on_invalid`` has an invalid value.
        """
        if on_invalid not in ("error", "skip"):
            raise ConfigError(f"on_invalid must be 'error' or 'skip'; got {on_invalid!r}.")
        self._source = source.expanduser().absolute()
        self._executor = executor or process_executor(1)
        self._on_invalid = on_invalid
        self._progress = progress
        super().__init__(**options)

    def _info(self) -> tfds.core.DatasetInfo:
        layout = self.layout
        return tfds.core.DatasetInfo(
            builder=self,
            description=layout.description,
            features=features(layout.tasks),
            homepage=layout.homepage or None,
            citation=layout.citation or None,
            license=layout.license or None,
        )

    def _as_dataset(self, *args: object, **options: object) -> NoReturn:
        raise NotImplementedError("use as_data_source: TensorFlow is not needed here")

    def prepare(self, overwrite: bool = False) -> PreparationReport:
        """Prepare the data set, resuming an interrupted attempt.

        Args:
            overwrite: Replace an existing data set once the new one is complete.

        Returns:
            Recordings kept and skipped, and quality findings.

        Raises:
            DataError: the source does not match the layout, or recordings are unusable and
                ``on_invalid`` is 'error'; the data set is not created then.
            UserError: the data set exists already, another process is preparing it, or the
                disk is full.
        """
        folder = Path(self.data_dir)
        staging = folder.parent / f".preparing-{self.version}"
        with disk_full_as_user_error(folder.parent):
            remove_leftover_staging(staging, folder)
            reject_existing(folder, overwrite)
            with lock_staging(staging):
                # Checked again: another process may have finished it before the lock was acquired.
                reject_existing(folder, overwrite)
                report = self._write_data_set(staging, folder)
                shutil.rmtree(staging, ignore_errors=True)
        return report

    def download_and_prepare(self, **options: object) -> None:
        """Prepare the data set (tfds interface); ``options`` are ignored."""
        if not Path(self.data_dir).exists():
            self.prepare()

    def _download_and_prepare(self, *args: object, **options: object) -> None:
        raise NotImplementedError("prepare writes the data set")

    def _write_data_set(self, staging: Path, folder: Path) -> PreparationReport:
        tasks, summaries, seconds = self._write_shards(staging)
        records, rejections = _merge_summaries(summaries)
        report = PreparationReport(
            records=records,
            rejections=rejections,
            seconds=seconds,
            source_bytes=source_bytes(self._source, [ref for t in tasks for ref in t.refs]),
            example_bytes=sum(summary.num_bytes for summary in summaries),
        )
        self._reject_invalid(tasks, summaries, report)
        complete = staging / _COMPLETE
        shutil.rmtree(complete, ignore_errors=True)
        complete.mkdir()
        for task in tasks:
            link_or_copy(task.path, complete / task.path.name)
        shards = tuple(
            prepared_index.Shard.from_file(task.path, summary.num_examples)
            for task, summary in zip(tasks, summaries, strict=True)
        )
        _write_description(complete, _metadata(self.layout, records, shards), records, report)
        self._write_info(complete, summaries)
        replace_folder(complete, folder)
        return report

    def _write_info(self, folder: Path, summaries: Sequence[ShardSummary]) -> None:
        """Write the metadata with which tfds opens the data set without this class."""
        info = self._info()
        info.set_file_format("array_record")
        split = tfds.core.SplitInfo(
            name=prepared_index.SPLIT_NAME,
            shard_lengths=[summary.num_examples for summary in summaries],
            num_bytes=sum(summary.num_bytes for summary in summaries),
            filename_template=self._filename_template(folder),
        )
        info.set_splits(tfds.core.splits.SplitDict([split]))
        info.write_to_directory(folder)

    def _filename_template(self, folder: Path) -> tfds.core.ShardedFileTemplate:
        return tfds.core.ShardedFileTemplate(
            data_dir=folder,
            dataset_name=self.name,
            split=prepared_index.SPLIT_NAME,
            filetype_suffix="array_record",
        )

    def _write_shards(self, staging: Path) -> tuple[list[ShardTask], list[ShardSummary], float]:
        """Write the missing shards; return tasks and summaries in order, and the seconds spent."""
        template = self._filename_template(staging)
        tasks = plan_shards(
            self.layout,
            self._source,
            lambda number, count: Path(
                template.sharded_filepath(shard_index=number, num_shards=count)
            ),
        )
        expected = {name for t in tasks for name in (t.path.name, t.summary_path.name)}
        for path in staging.iterdir():
            if path.is_file() and path.name not in expected and path.name != LOCK:
                path.unlink()
        done = {task.path: summary for task in tasks if (summary := read_summary(task))}
        for summary in done.values():
            self._progress(summary)
        start_time = time.perf_counter()
        missing = [task for task in tasks if task.path not in done]
        for task, summary in self._executor(missing):
            done[task.path] = summary
            self._progress(summary)
        seconds = time.perf_counter() - start_time if missing else 0.0
        return tasks, [done[task.path] for task in tasks], seconds

    def _reject_invalid(
        self,
        tasks: Sequence[ShardTask],
        summaries: Sequence[ShardSummary],
        report: PreparationReport,
    ) -> None:
        total = len(report.records) + len(report.rejections)
        if not report.rejections:
            return
        if self._on_invalid == "skip" and report.records:
            _LOG.warning(
                "%s: skipped %d of %d recordings that cannot be used:\n%s",
                self._source,
                len(report.rejections),
                total,
                format_rejections(report.rejections),
            )
            return
        for task, summary in zip(tasks, summaries, strict=True):
            # Retried in the next run: the file may have been replaced, or the disk unavailable.
            if any(rejection.reason == UNREADABLE for rejection in summary.rejections):
                task.summary_path.unlink(missing_ok=True)
        hint = (
            "Fix them and run the same command again, or skip them with --on_invalid=skip; "
            "finished shards are kept."
            if report.records
            else "Check --source and the name of the data set."
        )
        raise DataError(
            f"{len(report.rejections)} of {total} recordings of {self._source} cannot be used:\n"
            f"{format_rejections(report.rejections)}\n{hint}"
        )


def make_builder(layout: DatasetLayout) -> type[RecordingBuilder]:
    """Create the tfds builder class of a layout."""
    configs = [tfds.core.BuilderConfig(name=layout.variant)] if layout.variant else []
    return type(
        "".join(part.capitalize() for part in layout.name.split("_")),
        (RecordingBuilder,),
        {
            "__doc__": layout.description,
            "name": layout.name,
            "layout": layout,
            "VERSION": tfds.core.Version(layout.version),
            "BUILDER_CONFIGS": configs,
        },
        skip_registration=True,
    )


def _merge_summaries(
    summaries: Sequence[ShardSummary],
) -> tuple[list[PreparedRecord], list[RejectedRecording]]:
    """Merge the shards, renumbering the examples of their records."""
    records: list[PreparedRecord] = []
    rejections: list[RejectedRecording] = []
    first = 0
    for summary in summaries:
        records += [
            dataclasses.replace(record, first_example=first + record.first_example)
            for record in summary.records
        ]
        rejections += summary.rejections
        first += summary.num_examples
    return records, rejections


def _metadata(
    layout: DatasetLayout,
    records: Sequence[PreparedRecord],
    shards: tuple[prepared_index.Shard, ...],
) -> PreparedMetadata:
    content = hashlib.sha256()
    for record in records:
        content.update(repr((record.record_id, record.subject_id, record.block_hashes)).encode())
    return PreparedMetadata(
        name=layout.name,
        variant=layout.variant,
        version=layout.version,
        channels=collect_channel_units(records, layout.name),
        sampling_rates_hz=sorted({record.sampling_rate_hz for record in records}),
        tasks=[cast(prepared_index.StoredTask, dataclasses.asdict(task)) for task in layout.tasks],
        filters=layout.filters,
        num_recordings=len(records),
        num_subjects=len({record.subject_id for record in records}),
        content_hash=content.hexdigest(),
        index_sha256=hashlib.sha256(prepared_index.index_text(records).encode()).hexdigest(),
        shards=shards,
        license=layout.license,
        homepage=layout.homepage,
        citation=layout.citation,
    )


def _write_description(
    folder: Path,
    metadata: PreparedMetadata,
    records: Sequence[PreparedRecord],
    report: PreparationReport,
) -> None:
    write_text(folder / prepared_index.INDEX_FILE, prepared_index.index_text(records), flush=True)
    write_text(folder / "report.json", json.dumps(report.to_json(), indent=2) + "\n", flush=True)
    write_text(folder / "report.md", f"# {metadata.name}\n\n{report.table()}", flush=True)
    write_text(
        folder / prepared_index.METADATA_FILE,
        json.dumps(add_seal(dataclasses.asdict(metadata)), indent=2) + "\n",
        flush=True,
    )

"""A folder of recordings as a ``SignalSource``.

With a manifest (see ``manifest``), its entries are read. Without one, every file of a known format
directly in the folder must describe itself:

* WFDB (``.hea``), EDF and BDF (``.edf``, ``.bdf``, ``.rec``), by their headers;
* ``.npz`` with the signal in ``X`` or ``signal``, ``channels``, ``fs`` or ``sampling_rate_hz``, and
  perhaps ``subject`` (``subject_id``, ``patient_id``) and ``record`` (``record_id``, ``rec``);
* ``.csv`` with a header, and ``.parquet``, with a time column whose unit is known, and without
  columns that may be labels or codes (see ``table_columns``, ``time_column``). ``.tsv``, ``.txt``
  and ``.csv.gz`` are read like ``.csv`` if a manifest lists them or the folder has no others.

Exports of devices (see ``vendors``) describe themselves too, and are recognized by their content; a
subfolder that is one export, such as that of an Empatica E4, is one recording.

If a file does not describe itself, the error names it and drafts a manifest; nothing is guessed.
Hence a folder that mixes signals with other tables needs a manifest that lists the signals.

A recording's id is the file's path relative to the folder without its suffix, followed by
``/<id>`` if the file contains several recordings.
"""

import logging
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from physio_mae_jax.data.formats.candidate import Candidate
from physio_mae_jax.data.formats.discovery import (
    draft_manifest,
    find_described_files,
    probe_file,
    require_described,
    require_folder,
)
from physio_mae_jax.data.formats.file_facts import FileRecords
from physio_mae_jax.data.formats.loaded_arrays import LoadedArrays
from physio_mae_jax.data.formats.manifest import ManifestEntry, parse_manifest
from physio_mae_jax.data.formats.origin import Origin
from physio_mae_jax.data.formats.reader import Reader, read_parts
from physio_mae_jax.data.formats.readers import get_reader
from physio_mae_jax.data.formats.usable import report_unusable, usable_files, warn_about_conversions
from physio_mae_jax.data.formats.vendors.registry import recording_of_folder
from physio_mae_jax.data.sample_cache import SampleCache
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.data.subjects import warn_about_similar_subjects
from physio_mae_jax.data.unclear import warn_about_names, warn_about_units
from physio_mae_jax.errors import DataError

__all__ = ["FolderSource", "draft_manifest", "open_file", "open_files", "open_folder"]

_LOG = logging.getLogger(__name__)


class FolderSource:
    """Random access to the recordings of a folder; a thread-safe ``SignalSource``.

    ``.npy``, EDF, WFDB and long uncompressed arrays of ``.npz`` are read in place. Other arrays of
    ``.npz``, ``.csv`` and most exports of devices are loaded completely, ``.parquet`` by row
    groups; what was loaded is kept in memory, see ``loaded_arrays``.
    """

    def __init__(
        self, folder: Path, files: Sequence[FileRecords], cache: SampleCache | None = None
    ) -> None:
        """Index the recordings of described files; see ``open_folder``.

        Args:
            folder: Folder of the files.
            files: Described files.
            cache: Cache that keeps what is loaded, shared with other sources; None for an own one.

        Raises:
            DataError: two recordings have the same id.
        """
        self.folder = folder
        self._files = tuple(files)
        self._loaded = LoadedArrays(cache, folder)
        self._readers: dict[Path, Reader] = {}
        self._locations = tuple((f, r) for f in files for r in range(len(f.subjects)))
        self._recordings = tuple(_info(folder, f, r) for f, r in self._locations)
        self._reject_duplicate_ids()

    @property
    def recordings(self) -> Sequence[RecordingInfo]:
        """Metadata of every recording; index i is index i of ``read``."""
        return self._recordings

    def get_file(self, index: int) -> str:
        """Return the path of the file that contains recording ``index``."""
        return str(self._locations[index][0].path)

    def origin(self, index: int) -> Origin:
        """Return where rate, names and units of recording ``index`` came from."""
        return self._locations[index][0].origin

    def version(self, index: int) -> str:
        """Return a string that changes when the file of recording ``index`` is rewritten."""
        file = self._locations[index][0]
        paths = (file.path, *(file.path.parent / name for name in file.companions))
        stats = [path.stat() for path in paths if path.exists()]
        return f"{file.path}:{[(stat.st_size, stat.st_mtime_ns) for stat in stats]}"

    def is_kept(self, index: int) -> bool:
        """Return whether this source itself keeps the samples of recording ``index`` in memory."""
        return self._locations[index][0].loaded_bytes > 0

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        """Return samples [start, stop) of recording ``index`` as float32 [M, stop - start].

        Raises:
            DataError: the segment is not inside the recording, or the file cannot be read or
                changed since the folder was opened.
        """
        file, record = self._locations[index]
        self._recordings[index].reject_outside(start, stop)
        if start == stop:
            return np.zeros((len(file.channel_names), 0), np.float32)
        reader = self._readers.get(file.path)
        if reader is None:  # finding it takes longer than a window from memory
            reader = self._readers[file.path] = get_reader(file.path)
        load, load_part = reader.load, reader.load_part
        if load_part is not None:
            return read_parts(
                file,
                lambda part: self._loaded.get(file, part, lambda: load_part(file, part)),
                start,
                stop,
            )
        loaded = None if load is None else self._loaded.get(file, 0, lambda: load(file))
        return reader.read(file, loaded, record, start, stop)

    def warn_about_memory(self) -> None:
        """Warn if what has to be loaded does not fit the memory for it."""
        self._loaded.warn_if_small(sum(file.loaded_bytes for file in self._files))

    def _reject_duplicate_ids(self) -> None:
        paths_by_id: dict[str, set[str]] = defaultdict(set)
        counts = Counter(info.record_id for info in self._recordings)
        for index, info in enumerate(self._recordings):
            paths_by_id[info.record_id].add(self.get_file(index))
        for record_id, count in counts.items():
            if count > 1:
                raise DataError(
                    f"record id {record_id!r} occurs {count} times "
                    f"({', '.join(sorted(paths_by_id[record_id]))}); rename a file, or list only "
                    "one of them in the manifest."
                )


def open_folder(
    path: str | Path,
    manifest_path: str | Path | None = None,
    *,
    skip_unreadable: bool = False,
    channels: str = "",
    cache: SampleCache | None = None,
) -> FolderSource:
    """Open a folder of recordings; file metadata is read now, samples are read later.

    Args:
        path: Folder of the recordings.
        manifest_path: Manifest path; defaults to ``manifest.json`` in the folder, if present.
        skip_unreadable: Skip files that cannot be used with a warning instead of raising.
        channels: Channels that will be used, see ``signals.channels.select_channels``; '' for all.
            Others are included if they have the same rate and can be used.
        cache: Cache that keeps what is loaded, see ``FolderSource``.

    Raises:
        DataError: the folder or manifest is missing, a file is not described or cannot be used,
            or manifest and files contradict each other.
    """
    folder = require_folder(path)
    candidates, hint = find_described_files(folder, manifest_path, skip=skip_unreadable)
    return _open(folder, candidates, hint, skip_unreadable, channels, cache)


def open_files(paths: Sequence[str | Path], *, skip_unreadable: bool = False) -> FolderSource:
    """Open files that describe themselves, from any folder.

    Recordings are named by their path relative to the common parent folder.

    Raises:
        DataError: a file is missing, does not describe itself or is broken.
    """
    files = [Path(path).expanduser().absolute() for path in paths]
    missing = [path for path in files if not path.is_file()]
    if missing or not files:
        raise DataError(f"{missing[0]} is not a file." if missing else "no files are given.")
    folder = Path(os.path.commonpath([path.parent for path in files]))
    candidates = [
        probe_file(path, ManifestEntry(label=f"file {path}", file=path.name)) for path in files
    ]
    described = require_described(folder, candidates, skip=skip_unreadable)
    return _open(folder, described, "", skip_unreadable)


def open_file(
    path: str | Path, stated: Mapping[str, object] = MappingProxyType({})
) -> FolderSource:
    """Open one file, or a folder that is one recording, such as an Empatica E4 export.

    Args:
        path: File or folder.
        stated: Fields of a manifest entry that the file does not state, such as
            ``sampling_rate_hz``.

    Raises:
        DataError: it is missing or broken, does not describe itself, or a field is not
            understood; a folder is not one recording.
    """
    found = Path(path).expanduser().absolute()
    if found.is_dir():
        first = recording_of_folder(found)
        if first is None:
            raise DataError(
                f"{found} is a folder, but not the export of one recording (as an Empatica E4 "
                "writes); give one of its files, or encode the folder with encode_folder."
            )
        found = first
    content = {"recordings": [{"file": found.name, **stated}]}
    (entry,) = parse_manifest(content, f"file {found}")
    if not found.is_file():
        raise DataError(f"{found} is not a file.")
    described = require_described(found.parent, [probe_file(found, entry)])
    return _open(found.parent, described, "", False)


def _open(
    folder: Path,
    candidates: Sequence[Candidate],
    hint: str,
    skip_unreadable: bool,
    channels: str = "",
    cache: SampleCache | None = None,
) -> FolderSource:
    found, unusable = usable_files(folder, candidates, channels)
    num_files = len(found) + len(unusable)
    report_unusable(folder, unusable, num_files, skip=skip_unreadable, hint=hint)
    files = list(found.values())
    source = FolderSource(folder, files, cache)
    _log_summary(folder, files, source.recordings)
    source.warn_about_memory()
    return source


def make_record_id(folder: Path, file: FileRecords, record: int) -> str:
    """Return the id of a record of a file, see the docstring of the module."""
    relative = file.path.relative_to(folder)
    stem = relative.with_suffix("").as_posix()
    if file.is_folder:
        stem = relative.parent.as_posix() if relative.parent.parts else folder.name
    return stem if file.record_keys is None else f"{stem}/{file.record_keys[record]}"


def _info(folder: Path, file: FileRecords, record: int) -> RecordingInfo:
    record_id = make_record_id(folder, file, record)
    return RecordingInfo(
        record_id=record_id,
        subject_id=file.subjects[record] or record_id,
        channel_names=file.channel_names,
        sampling_rate_hz=file.sampling_rate_hz,
        num_samples=file.num_samples,
        data_set=folder.name,
        units=file.units,
        start_time=file.start_time,
    )


def warn_about_unknown_subjects(folder: Path, files: Sequence[FileRecords]) -> None:
    """Warn about recordings without a subject, and about subjects with similar spellings."""
    subjects = [subject for file in files for subject in file.subjects]
    unknown = sum(subject is None for subject in subjects)
    if unknown:
        _LOG.warning(
            "%s: %d of %d recordings name no subject, so each counts as a separate subject and "
            "splits cannot keep a subject's recordings together. If subjects occur more than once, "
            "name them in the manifest: 'subject_pattern', 'subjects' or 'subject_array'.",
            folder,
            unknown,
            len(subjects),
        )
    warn_about_similar_subjects(str(folder), (name for name in subjects if name is not None))


def warn_about_unclear_channels(folder: Path, files: Sequence[FileRecords]) -> None:
    """Warn about unknown channel names and units."""
    warn_about_names(str(folder), (file.channel_names for file in files))
    named = ((str(file.path.relative_to(folder)), file) for file in files)
    warn_about_units(str(folder), ((name, file.channel_names, file.units) for name, file in named))


def _log_summary(
    folder: Path, files: Sequence[FileRecords], recordings: Sequence[RecordingInfo]
) -> None:
    if not recordings:
        raise DataError(f"{folder}: its {len(files)} files contain no recordings.")
    formats = Counter(file.origin.format for file in files)
    summary = ", ".join(f"{count} {name}" for name, count in formats.items())
    _LOG.info("%s: %d recordings in %d files (%s).", folder, len(recordings), len(files), summary)
    warn_about_unknown_subjects(folder, files)
    warn_about_unclear_channels(folder, files)
    warn_about_conversions(folder, files)

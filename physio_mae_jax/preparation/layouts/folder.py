"""A user's own files, as read by ``data.formats.folder``, with optional labels.

The manifest (``data.formats.manifest``) adds metadata that the files do not state; its labels,
folds and attributes become the task 'label' and the attributes of the recordings.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.array_cache import ArrayCache
from physio_mae_jax.data.formats.candidate import Candidate
from physio_mae_jax.data.formats.discovery import (
    UndescribedError,
    find_described_files,
    require_folder,
)
from physio_mae_jax.data.formats.file_facts import FileRecords, UnreadableError
from physio_mae_jax.data.formats.folder import (
    make_record_id,
    warn_about_unclear_channels,
    warn_about_unknown_subjects,
)
from physio_mae_jax.data.formats.labeling import FOLD, TASK_NAME
from physio_mae_jax.data.formats.manifest import MANIFEST_NAME, load_terms
from physio_mae_jax.data.formats.readers import get_reader
from physio_mae_jax.data.formats.usable import usable_files, warn_about_conversions
from physio_mae_jax.data.formats.wfdb_record import read_full_record
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.preparation.channel_units import choose_channel_units, convert_units
from physio_mae_jax.preparation.layouts.folder_labels import (
    FileLabels,
    make_label_tasks,
    read_file_labels,
    read_task_labels,
    reject_unused_labels,
)
from physio_mae_jax.preparation.recording import (
    DatasetLayout,
    LabelTask,
    Recording,
    RecordRef,
    reject_subjects_in_two_folds,
)
from physio_mae_jax.signals.units import canonical_unit

_NAME = re.compile(r"[a-z][a-z0-9_]*")
# Longer texts, or texts with commas, describe processing rather than a unit.
_LONGEST_UNIT = 12
_CACHE_BYTES = 2**30
# Per process: a file with thousands of records is loaded once.
_CACHE = ArrayCache(_CACHE_BYTES)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FolderLayout(DatasetLayout):
    """Layout of a user's own files; created by ``open_own_folder``.

    Attributes:
        set_name: Name of the data set.
        label_tasks: The task 'label' if there is one, and further tasks.
        processing: Processing of the samples as stated by the manifest.
        license, homepage, citation: Those that the manifest states for the data set.
        found: Recordings; not pickled; each worker process receives only its own.
    """

    set_name: str
    label_tasks: tuple[LabelTask, ...] = ()
    processing: str = ""
    license: str = ""
    homepage: str = ""
    citation: str = ""
    found: tuple[RecordRef, ...] = dataclasses.field(default=(), repr=False, compare=False)

    description = "Recordings of one's own, prepared from a folder."

    @property
    def name(self) -> str:
        """Name of the data set."""
        return self.set_name

    @property
    def tasks(self) -> tuple[LabelTask, ...]:
        """The task 'label' if the manifest has labels, and its further tasks."""
        return self.label_tasks

    @property
    def filters(self) -> str:
        """Processing of the samples, as far as the manifest states it."""
        return self.processing or "not known"

    def find(self, source: Path) -> Sequence[RecordRef]:
        """Return the recordings that ``open_own_folder`` found, see ``DatasetLayout``."""
        return self.found

    def read(self, source: Path, ref: RecordRef) -> Recording:
        """Read a recording, see ``DatasetLayout``."""
        details = ref.details
        if "broken" in details:
            raise UnreadableError(details["broken"])
        described: FileRecords = details["file"]
        file = dataclasses.replace(described, path=source / described.path)
        labels = {TASK_NAME: details["labels"], **details.get("task_labels", {})}
        signal = _read_full(file, details["record"])
        units, conversions = convert_units(signal, file.channel_names, file.units, details["units"])
        return Recording(
            signal=signal,
            channels=file.channel_names,
            units=tuple(_unit(unit) for unit in units),
            sampling_rate_hz=file.sampling_rate_hz,
            labels={
                task.name: task.encode(labels[task.name])
                for task in self.tasks
                if labels.get(task.name) is not None
            },
            attributes=details["attributes"],
            conversions=(*file.conversions, *conversions),
        )

    def __getstate__(self) -> dict[str, object]:
        """Exclude the recordings, which would be pickled with each shard."""
        return self.__dict__ | {"found": ()}


def open_own_folder(
    name: str,
    source: Path,
    manifest_path: Path | None = None,
    other_names: Sequence[str] = (),
    *,
    skip: bool = False,
) -> FolderLayout:
    """Probe the files of a folder and describe its recordings.

    Args:
        name: Name of the resulting data set.
        source: Folder of the recordings.
        manifest_path: Manifest path; defaults to ``manifest.json`` in the folder, if present.
        other_names: Names of other data sets.
        skip: Whether to skip files without metadata like broken ones, if others have metadata.

    Raises:
        ConfigError: the name is invalid, or that of another data set.
        DataError: a file is not described, or manifest and files contradict each other.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"--name={name!r}: a data set name consists of lower-case letters, digits and "
            "underscores and begins with a letter, such as --name=my_ecgs."
        )
    if name in other_names:
        raise ConfigError(f"--name={name!r} is the name of another data set; choose another.")
    folder = require_folder(source)
    try:
        candidates, _ = find_described_files(folder, manifest_path, skip=skip)
    except UndescribedError as error:
        raise DataError(
            f"{error}\nThe same command with --draft_manifest writes this draft to a file."
        ) from error
    files, unusable = usable_files(folder, candidates)
    _exclude_commas(files, unusable)
    warn_about_unknown_subjects(folder, list(files.values()))
    warn_about_unclear_channels(folder, list(files.values()))
    warn_about_conversions(folder, list(files.values()))
    _reject_unused_labels(candidates)
    entries = {c.path: c.entry for c in candidates if c.path in files}
    file_labels = {path: read_file_labels(files[path], entries[path]) for path in entries}
    task_labels = {path: read_task_labels(files[path], entries[path]) for path in entries}
    tasks = make_label_tasks(list(file_labels.values()), list(task_labels.values()))
    units = choose_channel_units(
        [(str(path.relative_to(folder)), f.channel_names, f.units) for path, f in files.items()]
    )
    order = [c.path for c in candidates if c.path in files or c.path in unusable]
    return FolderLayout(
        set_name=name,
        label_tasks=tasks,
        processing=_processing(candidates),
        found=tuple(
            _references(folder, order, files, unusable, file_labels, task_labels, tasks, units)
        ),
        **_terms(manifest_path or folder / MANIFEST_NAME),
    )


def _exclude_commas(files: dict[Path, FileRecords], unusable: dict[Path, str]) -> None:
    """Move files with a comma in the name of a channel to the unusable ones."""
    for path in [path for path, file in files.items() if any("," in n for n in file.channel_names)]:
        unusable[path] = (
            f"{path} has the channels {'; '.join(files.pop(path).channel_names)}; names must not "
            "contain commas. Rename them in the manifest's 'channels'."
        )


def _terms(manifest: Path) -> dict[str, str]:
    return load_terms(manifest) if manifest.is_file() else {}


def _references(
    folder: Path,
    order: Sequence[Path],
    files: Mapping[Path, FileRecords],
    unusable: Mapping[Path, str],
    file_labels: Mapping[Path, FileLabels],
    task_labels: Mapping[Path, Mapping[str, FileLabels]],
    tasks: Sequence[LabelTask],
    units: Mapping[str, str],
) -> list[RecordRef]:
    """List every record of every file, in order; an unusable file counts as one record."""
    classes = {task.name: task.classes for task in tasks}
    refs = []
    for path in order:
        relative = path.relative_to(folder)
        if path in unusable:
            stem = relative.with_suffix("").as_posix()
            details = {"broken": unusable[path]}
            names: tuple[str, ...] = (relative.as_posix(),)
            refs.append(RecordRef(record_id=stem, subject_id=stem, files=names, details=details))
            continue
        names = tuple(
            (relative.parent / name).as_posix() for name in (relative.name, *files[path].companions)
        )
        refs += _records_of_file(
            *(folder, files[path], file_labels[path], task_labels[path], names, classes, units)
        )
    reject_subjects_in_two_folds(
        [
            (ref.subject_id, ref.record_id, ref.details["attributes"][FOLD])
            for ref in refs
            if FOLD in ref.details.get("attributes", {})
        ],
        hint="Fix them, or rename the attribute in 'attribute_arrays' if it is not a fold.",
    )
    return refs


def _records_of_file(
    folder: Path,
    file: FileRecords,
    file_labels: FileLabels,
    task_labels: Mapping[str, FileLabels],
    names: tuple[str, ...],
    classes: Mapping[str, tuple[str, ...]],
    units: Mapping[str, str],
) -> list[RecordRef]:
    # Only the fields needed to read a record are pickled with it.
    minimal_file = dataclasses.replace(
        file,
        path=file.path.relative_to(folder),
        record_keys=None,
        subjects=(),
        unusable=(),
        notes=(),
    )
    refs = []
    for record, subject in enumerate(file.subjects):
        record_id = make_record_id(folder, file, record)
        details = {
            "file": minimal_file,
            "record": record,
            "labels": file_labels.labels[record],
            # Part of the shard fingerprint: label indices depend on the set of classes.
            "classes": classes.get(TASK_NAME, ()),
            "attributes": file_labels.attributes[record],
            "units": {name: units[name] for name in file.channel_names if name in units},
        }
        if task_labels:
            details["task_labels"] = {name: one.labels[record] for name, one in task_labels.items()}
            details["task_classes"] = {name: classes[name] for name in task_labels}
        refs.append(
            RecordRef(
                record_id=record_id,
                subject_id=subject or record_id,
                files=names,
                details=details,
            )
        )
    return refs


def _read_full(file: FileRecords, record: int) -> np.ndarray:
    """Read all samples of one record as float32 [M, num_samples]."""
    if file.path.suffix.lower() == ".hea":
        # Verifies the samples against the checksums of the header.
        signal = read_full_record(file.path, file.columns).signal
        if signal.shape[1] != file.num_samples:
            raise UnreadableError(
                f"{file.path} changed: it had {file.num_samples} samples when it was opened."
            )
        return signal
    if file.num_samples == 0:
        return np.zeros((len(file.channel_names), 0), np.float32)
    reader = get_reader(file.path)
    loaded = None if reader.load is None else _load(file, reader.load)
    return reader.read(file, loaded, record, 0, file.num_samples)


def _load(file: FileRecords, load: Callable[[FileRecords], np.ndarray]) -> np.ndarray:
    """Load the stored array of a file; cached if the file contains several records."""
    if "record" not in file.axes:
        return load(file)
    try:
        status = file.path.stat()
    except OSError as error:
        raise UnreadableError(f"{file.path} cannot be read: {error.strerror}.") from error
    version = (status.st_size, status.st_mtime_ns)
    return _CACHE.get((file.path, version, file.member), lambda: load(file))


def _reject_unused_labels(candidates: Sequence[Candidate]) -> None:
    entries = {id(c.entry): c.entry for c in candidates}
    for key, entry in entries.items():
        reject_unused_labels(entry, [c.path.stem for c in candidates if id(c.entry) == key])


def _unit(text: str) -> str:
    return canonical_unit(text) if len(text) <= _LONGEST_UNIT and "," not in text else ""


def _processing(candidates: Sequence[Candidate]) -> str:
    """Join the 'units' texts that are not units."""
    texts = [c.entry.units for c in candidates if c.entry.units]
    return "; ".join(dict.fromkeys(text for text in texts if not _unit(text)))

"""A user's own files: what ``data.formats.folder`` reads, with labels where there are some.

The manifest (``data.formats.manifest``) says what the files do not say themselves; its fields for
labels, folds and attributes become the task 'label' and the attributes of the recordings.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from physio_mae_jax.data.formats.array_cache import ArrayCache
from physio_mae_jax.data.formats.discovery import (
    Candidate,
    UndescribedError,
    draft_manifest,
    find_described_files,
    format_draft,
    require_folder,
)
from physio_mae_jax.data.formats.file_facts import FileRecords, UnreadableError
from physio_mae_jax.data.formats.folder import (
    make_record_id,
    warn_about_unclear_channels,
    warn_about_unknown_subjects,
)
from physio_mae_jax.data.formats.labelling import FOLD
from physio_mae_jax.data.formats.manifest import MANIFEST_NAME
from physio_mae_jax.data.formats.readers import get_reader
from physio_mae_jax.data.formats.usable import usable_files, warn_about_conversions
from physio_mae_jax.data.formats.wfdb_record import read_full_record
from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.preparation.channel_units import convert_units, one_unit_a_channel
from physio_mae_jax.preparation.layouts.folder_labels import (
    RecordLabels,
    label_task,
    read_record_labels,
    reject_subjects_in_two_folds,
    reject_unused_labels,
)
from physio_mae_jax.preparation.recording import DatasetLayout, LabelTask, Recording, RecordRef
from physio_mae_jax.signals.units import canonical_unit

_NAME = re.compile(r"[a-z][a-z0-9_]*")
# A longer text, or one with commas, describes the processing rather than a unit.
_LONGEST_UNIT = 12
_CACHE_BYTES = 2**30
# For each process: a file of thousands of records is loaded once for all of them.
_CACHE = ArrayCache(_CACHE_BYTES)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FolderLayout(DatasetLayout):
    """Layout of a user's own files; ``open_own_folder`` makes it.

    Attributes:
        set_name: Name of the data set.
        label_tasks: The task 'label', or none.
        processing: Processing of the samples as stated by the manifest.
        found: Recordings; not pickled to other processes, which receive only theirs.
    """

    set_name: str
    label_tasks: tuple[LabelTask, ...] = ()
    processing: str = ""
    found: tuple[RecordRef, ...] = dataclasses.field(default=(), repr=False, compare=False)

    description = "Recordings of one's own, prepared from a folder."

    @property
    def name(self) -> str:
        """Name of the data set."""
        return self.set_name

    @property
    def tasks(self) -> tuple[LabelTask, ...]:
        """The task 'label' where the manifest has labels."""
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
        labels = details["labels"]
        signal = _read_full(file, details["record"])
        units, conversions = convert_units(signal, file.channel_names, file.units, details["units"])
        return Recording(
            signal=signal,
            channels=file.channel_names,
            units=tuple(_unit(unit) for unit in units),
            sampling_rate_hz=file.sampling_rate_hz,
            labels={task.name: task.encode(labels) for task in self.tasks if labels is not None},
            attributes=details["attributes"],
            conversions=(*file.conversions, *conversions),
        )

    def __getstate__(self) -> dict[str, Any]:
        """Exclude the recordings, which would be pickled with each shard."""
        return self.__dict__ | {"found": ()}


def open_own_folder(
    name: str,
    source: Path,
    manifest_path: Path | None = None,
    taken: Sequence[str] = (),
    *,
    skip: bool = False,
) -> FolderLayout:
    """Probe the files of a folder and describe its recordings.

    Args:
        name: Name of the resulting data set.
        source: Folder of the recordings.
        manifest_path: Manifest path; defaults to ``manifest.json`` in the folder, if present.
        taken: Names of other data sets.
        skip: Whether to skip files without a description like broken ones, if others have one.

    Raises:
        ConfigError: the name is not an identifier, or that of another data set.
        DataError: a file is not described, or manifest and files contradict each other.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"--name={name!r}: the name of a data set is a word of small letters, digits and "
            "underscores that begins with a letter, such as --name=my_ecgs."
        )
    if name in taken:
        raise ConfigError(f"--name={name!r} is the name of another data set; choose another.")
    folder = require_folder(source)
    try:
        candidates, _ = find_described_files(folder, manifest_path, skip=skip)
    except UndescribedError as error:
        raise DataError(
            f"{error}\nThe same command with --draft_manifest writes this draft to a file."
        ) from error
    files, unusable = usable_files(folder, candidates)
    for path in [path for path, file in files.items() if any("," in n for n in file.channel_names)]:
        unusable[path] = (
            f"{path} has the channels {'; '.join(files.pop(path).channel_names)}; names must be "
            "without commas. Rename them in the manifest's 'channels'."
        )
    warn_about_unknown_subjects(folder, list(files.values()))
    warn_about_unclear_channels(folder, list(files.values()))
    warn_about_conversions(folder, list(files.values()))
    _reject_unused_labels(candidates)
    answers = {
        c.path: read_record_labels(files[c.path], c.entry) for c in candidates if c.path in files
    }
    task = label_task(list(answers.values()))
    units = one_unit_a_channel(
        [(str(path.relative_to(folder)), f.channel_names, f.units) for path, f in files.items()]
    )
    order = [c.path for c in candidates if c.path in files or c.path in unusable]
    return FolderLayout(
        set_name=name,
        label_tasks=(task,) if task else (),
        processing=_processing(candidates),
        found=tuple(_references(folder, order, files, unusable, answers, task, units)),
    )


def write_draft(source: Path, manifest_path: Path | None = None) -> str:
    """Write a draft of a manifest for the files directly in a folder.

    Args:
        source: Folder of the recordings.
        manifest_path: Output path; defaults to ``manifest.json`` in the folder.

    Returns:
        What was written where, and what is to be done about it.

    Raises:
        UserError: there is one already, or it cannot be written.
        DataError: the folder holds no files of known formats.
    """
    path = (manifest_path or source / MANIFEST_NAME).expanduser().absolute()
    existing = f"{path} exists already and is left as it is; edit it, or move it away for a draft."
    if path.exists():
        raise UserError(existing)
    draft = draft_manifest(source)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(format_draft(draft) + "\n")
    except FileExistsError as error:
        raise UserError(existing) from error
    except OSError as error:
        raise UserError(
            f"the draft cannot be written to {path}: {error.strerror}. Name another file with "
            "--manifest."
        ) from error
    open_fields = sorted(
        {key for entry in draft["recordings"] for key, value in entry.items() if _is_open(value)}
    )
    todo = (
        f"Fill in every '?' ({', '.join(open_fields)}), check 'axes' and delete entries that are "
        "no recordings"
        if open_fields
        else "Check that 'channels' lists signals, and no labels or codes"
        if any("channels" in entry for entry in draft["recordings"])
        else "The files describe themselves, so there is nothing to fill in"
    )
    return (
        f"written: {path}\n{todo}. Add the subjects ('subject_pattern', 'subjects' or "
        "'subject_array') and, if there are any, labels; physio_mae_jax/data/formats/manifest.py "
        "describes all fields. Then run the same command without --draft_manifest."
    )


def _is_open(value: Any) -> bool:
    return value == "?" or (isinstance(value, list) and "?" in value)


def _references(
    folder: Path,
    order: Sequence[Path],
    files: Mapping[Path, FileRecords],
    unusable: Mapping[Path, str],
    answers: Mapping[Path, RecordLabels],
    task: LabelTask | None,
    units: Mapping[str, str],
) -> list[RecordRef]:
    """List every record of every file, in order; a file that cannot be used counts as one."""
    classes = task.classes if task else ()
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
        refs += _records_of_file(folder, files[path], answers[path], names, classes, units)
    reject_subjects_in_two_folds(
        [
            (ref.subject_id, ref.record_id, ref.details["attributes"][FOLD])
            for ref in refs
            if FOLD in ref.details.get("attributes", {})
        ]
    )
    return refs


def _records_of_file(
    folder: Path,
    file: FileRecords,
    known: RecordLabels,
    names: tuple[str, ...],
    classes: tuple[str, ...],
    units: Mapping[str, str],
) -> list[RecordRef]:
    # Of each record only what reading it takes: ids and subjects of all would be sent with it.
    short = dataclasses.replace(
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
            "file": short,
            "record": record,
            "labels": known.labels[record],
            # Part of the shard fingerprint: label indices depend on the set of classes.
            "classes": classes,
            "attributes": known.attributes[record],
            "units": {name: units[name] for name in file.channel_names if name in units},
        }
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
    """Load the stored array of a file; kept where other records of it will be asked for."""
    if "record" not in file.axes:
        return load(file)
    try:
        status = file.path.stat()
    except OSError as error:
        raise UnreadableError(f"{file.path} cannot be read: {error.strerror}.") from error
    version = (status.st_size, status.st_mtime_ns)
    return _CACHE.get((file.path, version, file.member), lambda: load(file))


def _reject_unused_labels(candidates: Sequence[Candidate]) -> None:
    entries = {id(c.entry): c.entry for c in candidates if c.entry.labelling.labels is not None}
    for key, entry in entries.items():
        reject_unused_labels(entry, [c.path.stem for c in candidates if id(c.entry) == key])


def _unit(text: str) -> str:
    return canonical_unit(text) if len(text) <= _LONGEST_UNIT and "," not in text else ""


def _processing(candidates: Sequence[Candidate]) -> str:
    """Join the texts under 'units' that name no unit."""
    texts = [c.entry.units for c in candidates if c.entry.units]
    return "; ".join(dict.fromkeys(text for text in texts if not _unit(text)))

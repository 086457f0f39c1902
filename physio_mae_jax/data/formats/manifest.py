"""The manifest: a JSON file that describes a folder of recordings.

Files that say everything themselves (WFDB, EDF, BDF, CSV and parquet with a time column, npz with
``channels`` and ``fs``, exports of devices) need none. For the others one full example,
``<folder>/manifest.json``::

    {
      "sampling_rate_hz": 100,
      "channels": ["I", "II"],
      "units": "mV",
      "recordings": [
        {"file": "cohort.npz", "array": "X", "axes": ["record", "sample", "channel"],
         "subject_array": "patient_id", "record_array": "ecg_id"},
        {"file": "sleep/*.npy", "axes": ["channel", "sample"], "channels": ["EEG"],
         "sampling_rate_hz": 256, "subject_pattern": "sleep/(p\\\\d+)_night"},
        {"file": "ward/*_Signals.csv", "channels": {"ecg_mv": "II", "PLETH": "PPG"},
         "sampling_rate_hz": 125, "subjects": {"a_Signals": "anna", "b_Signals": "ben"}},
        {"file": "holter/100.hea", "channels": ["MLII"], "sampling_rate_hz": 360,
         "subject": "carl"}
      ]
    }

Top-level fields, which are defaults for every entry:

* ``sampling_rate_hz``  samples per second. If the file also states a rate, both must agree; if the
  channels of a file differ in rate, it is the highest.
* ``channels``          a list of names as in the file. It names the channels of a plain array, in
  order; for a file that names its own channels it selects those listed. If a file has duplicate
  channel names, a list with one name per channel renames them in order. An object
  ``{"name in the file": "name to use"}`` selects those channels and renames them. In a table any
  numeric column may be listed.
* ``units``             free text; no conversion is applied.
* ``recordings``        the list of entries.
* ``license``, ``homepage``, ``citation``  of the data set, as text; kept in the prepared set and
  stated in the card of a model that is trained on it.

* ``label_names``, ``fold_array``, ``attribute_arrays``  see below; the latter two apply to
  entries whose file ends in .npz.

Fields of an entry: ``file`` (a path in the folder, or a glob; ``**`` descends, hidden files are
skipped), any of the defaults above, and

* ``array``           name of the npz member, or of the variable of a MATLAB file, with the signal
  (default: ``X`` or ``signal``).
* ``axes``            meaning of each axis of an array: "record", "channel", "sample". By default
  the axis whose length equals the number of channels is the channel axis, and the first of three
  axes is "record".
* ``record_array``    npz member with the id of each record.
* the subject, by one of ``subject`` (its name), ``subject_array`` (npz member, one value per
  record), ``subject_pattern`` (regular expression with one group, which matches the subject in
  the path) and ``subjects`` (object: file name without suffix -> subject).

Fields that only ``python -m physio_mae_jax.prepare folder`` reads, such as
``"label_array": "y", "label_names": ["normal", "AF"], "attribute_arrays": {"age": "age"}``:

* the label, by one of ``label`` (the class of the whole file), ``labels`` (object: file name
  without suffix -> class) and ``label_array`` (npz member): one class per record, as text or
  integer; or a multi-label matrix [records, Y] of 0 and 1. Empty text, NaN, 'nan', 'none',
  'null', 'n/a', '<NA>' and negative numbers mean that the record has no label; 'none' is a class
  if ``label_names`` lists it.
* ``label_names``     list of all classes, in order; ``label_names_array`` is an npz member with
  the same. A matrix requires one of them. An integer label n then means name n, from 0.
* ``fold_array``      npz member with the fold of each record; all records of a subject must be in
  one fold.
* ``attribute_arrays``  object: attribute (such as ``age``, ``sex``) -> npz member with its value
  for each record. Empty text and NaN mean that it is unknown.
* ``tasks``  object: name of a further task -> its label fields, as those above.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from physio_mae_jax.data.formats.labeling import (
    LABELING_FIELDS,
    LABELING_MEMBERS,
    Labeling,
    parse_labeling,
)
from physio_mae_jax.data.formats.manifest_values import (
    check_pattern,
    parse_axes,
    parse_by_stem,
    parse_channels,
    parse_file,
    parse_name,
    parse_rate,
    parse_text,
    reject_unknown_keys,
)
from physio_mae_jax.data.formats.patterns import find_group, search_ahead
from physio_mae_jax.data.json_reader import read_json
from physio_mae_jax.data.json_types import did_you_mean
from physio_mae_jax.errors import DataError
from physio_mae_jax.printable import show
from physio_mae_jax.types import JsonObject

MANIFEST_NAME = "manifest.json"
_DEFAULTS = ("sampling_rate_hz", "channels", "units")
_LABELING_DEFAULTS = ("label_names", "fold_array", "attribute_arrays")
_SUBJECT_FIELDS = ("subject", "subject_array", "subject_pattern", "subjects")
_TERMS = ("license", "homepage", "citation")
NPZ_FIELDS = ("array", "record_array", "subject_array")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ManifestEntry:
    """What a manifest states about one file or glob; None for anything it does not state.

    Attributes:
        label: Name of the entry in error messages.
        file: Path relative to the folder, or a glob.
        sampling_rate_hz: Sampling rate in Hz.
        channels: (name in the file, name to use) pairs.
        units: Units as free text.
        array: npz member that holds the signal.
        axes: One of ``AXES`` for each axis of the array.
        subject: Subject of every record of the file.
        subject_array: npz member with the subject of each record.
        record_array: npz member with the id of each record.
        subject_pattern: Regular expression with one group, searched in the relative path.
        subjects: Mapping of file stem to subject.
        labeling: Labels, folds and attributes.
    """

    label: str
    file: str
    sampling_rate_hz: float | None = None
    channels: tuple[tuple[str, str], ...] | None = None
    units: str | None = None
    array: str | None = None
    axes: tuple[str, ...] | None = None
    subject: str | None = None
    subject_array: str | None = None
    record_array: str | None = None
    subject_pattern: str | None = None
    subjects: Mapping[str, str] | None = None
    labeling: Labeling = dataclasses.field(default_factory=Labeling)

    @property
    def members(self) -> dict[str, str]:
        """Mapping of each field that names an npz member to that name."""
        parts = ((self, NPZ_FIELDS), (self.labeling, LABELING_MEMBERS))
        names = {key: getattr(part, key) for part, keys in parts for key in keys}
        for task, labeling in (self.labeling.tasks or {}).items():
            names |= {f"tasks.{task}.{k}": getattr(labeling, k) for k in LABELING_MEMBERS}
        return {key: str(value) for key, value in names.items() if value is not None}


_ENTRY_KEYS = (
    *(f.name for f in dataclasses.fields(ManifestEntry) if f.name not in ("label", "labeling")),
    *LABELING_FIELDS,
)


def load_manifest(path: Path) -> tuple[ManifestEntry, ...]:
    """Read and check a manifest file.

    Raises:
        DataError: the file is missing, is not JSON, or contains an unknown key or invalid value.
    """
    content = read_json(path, "see the example in physio_mae_jax/data/formats/manifest.py.")
    return parse_manifest(content, f"manifest {path}")


def parse_manifest(content: object, where: str) -> tuple[ManifestEntry, ...]:
    """Check the content of a manifest and apply its defaults to its entries.

    Args:
        content: Decoded JSON.
        where: Name of the manifest in error messages.

    Raises:
        DataError: a key is unknown, or a value does not match the module's docstring.
    """
    if not isinstance(content, dict):
        raise DataError(f"{where} must be a JSON object with 'recordings', found {show(content)}.")
    reject_unknown_keys(content, (*_DEFAULTS, *_LABELING_DEFAULTS, *_TERMS, "recordings"), where)
    _parse_terms(content, where)
    listed = content.get("recordings")
    if not isinstance(listed, list) or not listed:
        raise DataError(
            f"{where}: 'recordings' must be a list of entries such as "
            f'[{{"file": "*.npz"}}], found {show(listed)}.'
        )
    known = (*_DEFAULTS, *_LABELING_DEFAULTS)
    defaults = {key: content[key] for key in known if key in content}
    return tuple(_parse_entry(raw, defaults, f"{where}, entry {i}") for i, raw in enumerate(listed))


def load_terms(path: Path) -> dict[str, str]:
    """Read license, homepage and citation of a manifest file, as far as it states them.

    Raises:
        DataError: as ``load_manifest``.
    """
    content = read_json(path, "see the example in physio_mae_jax/data/formats/manifest.py.")
    return _parse_terms(content, f"manifest {path}") if isinstance(content, dict) else {}


def _parse_terms(content: Mapping[str, object], where: str) -> dict[str, str]:
    return {key: parse_text(content[key], key, where) for key in _TERMS if key in content}


def expand_entries(
    folder: Path, entries: Iterable[ManifestEntry]
) -> list[tuple[Path, ManifestEntry]]:
    """Find the files of each entry; every returned file exists and occurs once.

    Returns:
        (path under ``folder``, its entry), in the order of the entries, sorted within a glob.

    Raises:
        DataError: a file is missing, a glob matches nothing, or a file is listed twice.
    """
    found: dict[Path, ManifestEntry] = {}
    for entry in entries:
        for path in _matches(folder, entry):
            if path in found:
                raise DataError(
                    f"{entry.label} lists {path}, which {found[path].label} "
                    f"({found[path].file!r}) lists already; list each file once."
                )
            found[path] = entry
    _search_subjects(folder, found)
    return list(found.items())


def _search_subjects(folder: Path, found: Mapping[Path, ManifestEntry]) -> None:
    """Search the subjects of all files of an entry in one batch."""
    texts: dict[tuple[str, str], list[str]] = {}
    for path, entry in found.items():
        if entry.subject_pattern is not None:
            key = (entry.subject_pattern, entry.label)
            texts.setdefault(key, []).append(path.relative_to(folder).as_posix())
    for (pattern, label), paths in texts.items():
        search_ahead(pattern, paths, label)


def find_file_subject(entry: ManifestEntry, relative: Path) -> str | None:
    """Return the subject that an entry gives to a whole file; None if it gives none.

    Args:
        entry: Manifest entry that lists the file.
        relative: Path of the file relative to the folder.

    Raises:
        DataError: the pattern does not match the path, or the mapping lacks the file.
    """
    if entry.subject_pattern is not None:
        found = find_group(entry.subject_pattern, relative.as_posix(), entry.label)
        if not found:
            raise DataError(
                f"{entry.label}: subject_pattern {entry.subject_pattern!r} finds no subject in "
                f"{relative.as_posix()!r}; its one group must match in every path."
            )
        return found
    if entry.subjects is not None:
        if relative.stem not in entry.subjects:
            hint = did_you_mean(relative.stem, entry.subjects)
            raise DataError(
                f"{entry.label}: 'subjects' has no {relative.stem!r} (file {relative}); it has "
                f"{', '.join(list(entry.subjects)[:10])}.{hint}"
            )
        return entry.subjects[relative.stem]
    return entry.subject


def _matches(folder: Path, entry: ManifestEntry) -> list[Path]:
    literal = folder / entry.file
    try:
        # A name with brackets may be a file or a glob: an existing file takes precedence.
        if literal.is_file():
            return [literal]
        found = sorted(p for p in folder.glob(entry.file) if p.is_file())
    except (OSError, ValueError, NotImplementedError, RecursionError) as error:
        raise DataError(
            f"{entry.label}: file {show(entry.file)} cannot be used: {str(error)[:200]}."
        ) from error
    found = [p for p in found if not any(s.startswith(".") for s in p.relative_to(folder).parts)]
    if found:
        return found
    if any(c in entry.file for c in "*?["):
        raise DataError(f"{entry.label}: the glob {entry.file!r} matches no file in {folder}.")
    if literal.is_dir():
        raise DataError(
            f"{entry.label}: {literal} is a folder; name its files, such as "
            f"'{entry.file.rstrip('/')}/*.npz'."
        )
    if literal.exists():
        raise DataError(
            f"{entry.label}: {literal} is a pipe or device; a regular file is expected."
        )
    siblings = [p.name for p in literal.parent.iterdir()] if literal.parent.is_dir() else []
    hint = did_you_mean(literal.name, siblings)
    raise DataError(f"{entry.label}: {literal} does not exist or is not a file.{hint}")


def _parse_entry(raw: object, defaults: Mapping[str, object], label: str) -> ManifestEntry:
    if not isinstance(raw, dict):
        raise DataError(
            f'{label} must be an object such as {{"file": "*.npz"}}, found {show(raw)}.'
        )
    reject_unknown_keys(raw, _ENTRY_KEYS, label)
    fields: JsonObject = {**defaults, **raw}
    file = parse_file(fields.get("file"), label)
    label = f"{label} ({show(file)})"
    subject_fields = [key for key in _SUBJECT_FIELDS if key in raw]
    if len(subject_fields) > 1:
        raise DataError(
            f"{label} gives the subject twice, by {' and '.join(subject_fields)}; keep one."
        )
    if "subject" in fields:
        fields["subject"] = parse_name(fields["subject"], "subject", label)
    for key in ("units", *NPZ_FIELDS, "subject_pattern"):
        if key in fields:
            fields[key] = parse_text(fields[key], key, label)
    if "subject_pattern" in fields:
        check_pattern(fields["subject_pattern"], label)
    if "subjects" in fields:
        fields["subjects"] = parse_by_stem(fields["subjects"], "subjects", "subject", label)
    for key, parse in (
        ("sampling_rate_hz", parse_rate),
        ("channels", parse_channels),
        ("axes", parse_axes),
    ):
        if key in fields:
            fields[key] = parse(fields[key], label)
    fields = {key: value for key, value in fields.items() if key not in LABELING_FIELDS}
    labeling = _parse_labeling(raw, defaults, file, label)
    return ManifestEntry(**{**fields, "file": file, "label": label, "labeling": labeling})


def _parse_labeling(
    raw: Mapping[str, object], defaults: Mapping[str, object], file: str, label: str
) -> Labeling:
    npz = file.lower().endswith(".npz")
    return parse_labeling(
        {key: raw[key] for key in LABELING_FIELDS if key in raw},
        {
            key: defaults[key]
            for key in _LABELING_DEFAULTS
            if key in defaults and (npz or key not in LABELING_MEMBERS)
        },
        label,
    )

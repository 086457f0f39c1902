"""Describing a folder of recordings: the manifest, a small JSON file beside the signals.

Files that say everything themselves (WFDB, CSV with a time column, npz with ``channels`` and
``fs``) need none. For the others one full example, ``<folder>/manifest.json``::

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

Fields of the whole, which are the defaults of every entry:

* ``sampling_rate_hz``  samples a second. Where the file names a rate too, both must agree.
* ``channels``          a list of names as in the file. It names the channels of a bare array, in
  order; of a file that names its own channels it takes those listed. Where a file has two
  channels of one name, a list as long as the file has channels renames them in order. An object
  ``{"name in the file": "name to use"}`` takes those channels and renames them.
* ``units``             text for people; nothing is converted.
* ``recordings``        the list of entries.

Fields of an entry: ``file`` (a path in the folder, or a glob; ``**`` descends, hidden files are
left out), any of the defaults above, and

* ``array``           name of the npz member that holds the signal (else ``X`` or ``signal``).
* ``axes``            what each axis of an array is: "record", "channel", "sample". Not given, the
  axis as long as the list of channels is the channel axis and, of three axes, the first is
  "record".
* ``record_array``    npz member with the id of each record.
* the subject, by one of ``subject`` (its name), ``subject_array`` (npz member, one value a
  record), ``subject_pattern`` (regular expression; its one group, searched in the path, is the
  subject) and ``subjects`` (object: file name without ending -> subject).
"""

import dataclasses
import difflib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from physio_mae_jax.errors import DataError

MANIFEST_NAME = "manifest.json"
AXES = ("record", "channel", "sample")
_DEFAULTS = ("sampling_rate_hz", "channels", "units")
_SUBJECT_FIELDS = ("subject", "subject_array", "subject_pattern", "subjects")
NPZ_FIELDS = ("array", "record_array", "subject_array")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """What a manifest says of one file or glob; None where it says nothing.

    Attributes:
        label: what the entry is called in an error.
        file: path relative to the folder, or a glob.
        sampling_rate_hz: samples a second.
        channels: (name in the file, name to use) pairs.
        units: text for people.
        array: npz member that holds the signal.
        axes: one of ``AXES`` for each axis of the array.
        subject: the person of every record of the file.
        subject_array: npz member with the person of each record.
        record_array: npz member with the id of each record.
        subject_pattern: regular expression with one group, searched in the relative path.
        subjects: file stem -> person.
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


_ENTRY_KEYS = tuple(f.name for f in dataclasses.fields(Entry) if f.name != "label")


def load_manifest(path: Path) -> tuple[Entry, ...]:
    """Read and check a manifest file.

    Raises:
        DataError: the file is missing, is not JSON, or says something that is not understood.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"manifest {path} cannot be read as JSON: {error}.") from error
    return parse_manifest(content, f"manifest {path}")


def parse_manifest(content: object, where: str) -> tuple[Entry, ...]:
    """Check the content of a manifest and spread its defaults over its entries.

    Args:
        content: the decoded JSON.
        where: what the manifest is called in an error.

    Raises:
        DataError: a key is unknown, or a value is not what the module's docstring describes.
    """
    if not isinstance(content, dict):
        raise DataError(f"{where} must be a JSON object with 'recordings', found {_show(content)}.")
    _refuse_unknown_keys(content, (*_DEFAULTS, "recordings"), where)
    listed = content.get("recordings")
    if not isinstance(listed, list) or not listed:
        raise DataError(
            f"{where}: 'recordings' must be a list of entries such as "
            f'[{{"file": "*.npz"}}], found {_show(listed)}.'
        )
    defaults = {key: content[key] for key in _DEFAULTS if key in content}
    return tuple(_parse_entry(raw, defaults, f"{where}, entry {i}") for i, raw in enumerate(listed))


def expand_entries(folder: Path, entries: Iterable[Entry]) -> list[tuple[Path, Entry]]:
    """Find the files of each entry; every file of the result exists and occurs once.

    Returns:
        (path under ``folder``, its entry), in the order of the entries, sorted within a glob.

    Raises:
        DataError: a file is missing, a glob matches nothing, or a file is listed twice.
    """
    found: dict[Path, Entry] = {}
    for entry in entries:
        for path in _matches(folder, entry):
            if path in found:
                raise DataError(
                    f"{entry.label} lists {path}, which {found[path].label} "
                    f"({found[path].file!r}) lists already; list each file once."
                )
            found[path] = entry
    return list(found.items())


def subject_of_file(entry: Entry, relative: Path) -> str | None:
    """Return the subject that an entry gives to a whole file, None where it gives none.

    Args:
        entry: the entry that lists the file.
        relative: the file's path relative to the folder.

    Raises:
        DataError: the pattern does not match the path, or the mapping lacks the file.
    """
    if entry.subject_pattern is not None:
        match = re.search(entry.subject_pattern, relative.as_posix())
        if match is None or not match.group(1):
            raise DataError(
                f"{entry.label}: subject_pattern {entry.subject_pattern!r} finds no subject in "
                f"{relative.as_posix()!r}; its one group must match in every path."
            )
        return match.group(1)
    if entry.subjects is not None:
        if relative.stem not in entry.subjects:
            hint = did_you_mean(relative.stem, entry.subjects)
            raise DataError(
                f"{entry.label}: 'subjects' has no {relative.stem!r} (file {relative}); it has "
                f"{', '.join(list(entry.subjects)[:10])}.{hint}"
            )
        return entry.subjects[relative.stem]
    return entry.subject


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Word a hint at the known names nearest to ``name``; empty where none is near."""
    near = difflib.get_close_matches(name, list(known), n=2)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def _matches(folder: Path, entry: Entry) -> list[Path]:
    literal = folder / entry.file
    try:
        # A name with brackets may be a file as well as a glob: the file on disk decides.
        if literal.is_file():
            return [literal]
        found = sorted(p for p in folder.glob(entry.file) if p.is_file())
    except (OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"{entry.label}: file {entry.file!r} cannot be used: {error}.") from error
    found = [p for p in found if not any(s.startswith(".") for s in p.relative_to(folder).parts)]
    if found:
        return found
    if any(c in entry.file for c in "*?["):
        raise DataError(f"{entry.label}: the glob {entry.file!r} matches no file in {folder}.")
    siblings = [p.name for p in literal.parent.iterdir()] if literal.parent.is_dir() else []
    hint = did_you_mean(literal.name, siblings)
    raise DataError(f"{entry.label}: {literal} does not exist or is not a file.{hint}")


def _parse_entry(raw: object, defaults: Mapping[str, Any], label: str) -> Entry:
    if not isinstance(raw, dict):
        raise DataError(
            f'{label} must be an object such as {{"file": "*.npz"}}, found {_show(raw)}.'
        )
    _refuse_unknown_keys(raw, _ENTRY_KEYS, label)
    fields: dict[str, Any] = {**defaults, **raw}
    file = _parse_file(fields.get("file"), label)
    label = f"{label} ({file!r})"
    given = [key for key in _SUBJECT_FIELDS if key in raw]
    if len(given) > 1:
        raise DataError(f"{label} gives the subject twice, by {' and '.join(given)}; keep one.")
    if "subject" in fields:
        fields["subject"] = _parse_name(fields["subject"], "subject", label)
    for key in ("units", *NPZ_FIELDS, "subject_pattern"):
        if key in fields and (not isinstance(fields[key], str) or not fields[key]):
            raise DataError(f"{label}: {key!r} must be a text, found {_show(fields[key])}.")
    if "subject_pattern" in fields:
        _check_pattern(fields["subject_pattern"], label)
    for key, parse in (
        ("sampling_rate_hz", _parse_rate),
        ("channels", _parse_channels),
        ("axes", _parse_axes),
        ("subjects", _parse_subjects),
    ):
        if key in fields:
            fields[key] = parse(fields[key], label)
    return Entry(**{**fields, "file": file, "label": label})


def _parse_file(value: object, label: str) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise DataError(f"{label}: 'file' must be a path or glob, found {_show(value)}.")
    if Path(value).is_absolute() or ".." in Path(value).parts:
        raise DataError(
            f"{label}: file {value!r} must be relative to the folder and stay inside it."
        )
    return value


def _parse_rate(value: Any, label: str) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # The bound keeps integers of hundreds of digits from overflowing float().
    if not number or not 0 < value < 1e12:
        raise DataError(
            f"{label}: 'sampling_rate_hz' must be a number of samples a second above 0, "
            f"found {_show(value)}."
        )
    return float(value)


def _parse_channels(value: object, label: str) -> tuple[tuple[str, str], ...]:
    pairs = list(value.items()) if isinstance(value, dict) else value
    if isinstance(value, list):
        pairs = [(name, name) for name in value]
    if not isinstance(pairs, list) or not pairs:
        raise DataError(
            f'{label}: \'channels\' must be a list such as ["I", "II"] or an object '
            f"{{name in the file: name to use}}, found {_show(value)}."
        )
    for name in (name for pair in pairs for name in pair):
        if not isinstance(name, str) or not name.strip() or name == "?":
            raise DataError(f"{label}: {_show(name)} in 'channels' is not the name of a channel.")
    return tuple((source.strip(), used.strip()) for source, used in pairs)


def _parse_axes(value: Any, label: str) -> tuple[str, ...]:
    valid = isinstance(value, list) and all(isinstance(axis, str) for axis in value)
    if valid and len(set(value)) == len(value) and set(value) <= set(AXES) and "sample" in value:
        return tuple(value)
    raise DataError(
        f"{label}: 'axes' must list each axis of the array once, of {', '.join(AXES)} and with "
        f'sample, such as ["sample", "channel"]; found {_show(value)}.'
    )


def _parse_subjects(value: object, label: str) -> dict[str, str]:
    if not isinstance(value, dict) or not value:
        raise DataError(
            f"{label}: 'subjects' must be an object {{file name without ending: subject}}, "
            f"found {_show(value)}."
        )
    return {stem: _parse_name(name, f"subjects[{stem!r}]", label) for stem, name in value.items()}


def _parse_name(value: object, key: str, label: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise DataError(f"{label}: {key} must be a text or whole number, found {_show(value)}.")
    return str(value)


def _check_pattern(pattern: str, label: str) -> None:
    try:
        groups = re.compile(pattern).groups
    except (re.error, OverflowError, RecursionError) as error:
        raise DataError(f"{label}: subject_pattern {pattern!r} is not valid: {error}.") from error
    if groups != 1:
        raise DataError(
            f"{label}: subject_pattern {pattern!r} has {groups} groups; it needs exactly one, "
            r"around the subject, such as '(p\d+)_'."
        )


def _refuse_unknown_keys(given: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    known = tuple(known)
    for key in given:
        if key not in known:
            raise DataError(
                f"{where}: unknown key {key!r}; known are {', '.join(known)}."
                f"{did_you_mean(key, known)}"
            )


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."

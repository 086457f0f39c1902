"""Usable files of a folder, with warnings about unusable ones and about conversions."""

import dataclasses
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from physio_mae_jax.data.formats.candidate import Candidate
from physio_mae_jax.data.formats.file_facts import FileRecords, UnreadableError
from physio_mae_jax.data.formats.resolve import resolve
from physio_mae_jax.data.listing import list_problems
from physio_mae_jax.errors import DataError
from physio_mae_jax.printable import Lines

_LOG = logging.getLogger(__name__)
_FILES_SHOWN = 5
_CHANGES_SHOWN = 50


def usable_files(
    folder: Path, candidates: Sequence[Candidate], requested: str = ""
) -> tuple[dict[Path, FileRecords], dict[Path, str]]:
    """Join files with their manifest entries and separate usable from unusable ones.

    WFDB headers without samples that join or describe other records in the folder are skipped
    with a warning; no data is lost, since their segments are recordings themselves.

    Args:
        folder: Folder that contains the files.
        candidates: Probed files.
        requested: Channels that will be used, see ``signals.channels.select_channels``; '' for all.

    Returns:
        The usable files, and the reason for each unusable file.
    """
    files: dict[Path, FileRecords] = {}
    unusable: dict[Path, str] = {}
    for candidate in candidates:
        path = candidate.path
        if candidate.facts is None:
            unusable[path] = candidate.error
            continue
        try:
            files[path] = resolve(
                candidate.facts, candidate.entry, path, path.relative_to(folder), requested
            )
        except DataError as error:
            unusable[path] = str(error)
    joins = _find_joining_headers(candidates, files, unusable)
    for header, segments in joins.items():
        subject = header.relative_to(folder).with_suffix("").as_posix()
        for path in segments:
            if path in files and files[path].subjects == (None,):
                files[path] = dataclasses.replace(files[path], subjects=(subject,))
    if joins:
        _LOG.warning(
            "%s: skipped %d headers without samples of their own (%s): they join or describe "
            "segments, and the segments in this folder are recordings themselves. Segments of one "
            "header count as one subject, unless the manifest names the subjects.",
            folder,
            len(joins),
            _names(list(joins)),
        )
    return files, {path: reason for path, reason in unusable.items() if path not in joins}


def report_unusable(
    folder: Path, unusable: Mapping[Path, str], num_files: int, *, skip: bool, hint: str = ""
) -> None:
    """Warn about unusable files, or reject the folder.

    Args:
        folder: Folder that contains the files.
        unusable: Why each file cannot be used.
        num_files: Number of files, usable ones included.
        skip: Whether to skip them if others can be used.
        hint: Text appended to the error.

    Raises:
        UnreadableError: a file is unusable and ``skip`` is False, or no file is usable.
    """
    if not unusable:
        return
    if num_files == 1:
        raise UnreadableError(next(iter(unusable.values())) + hint)
    text = f"{len(unusable)} of {num_files} files cannot be read:\n{_list_by_file(unusable)}"
    if not skip:
        advice = "\nFix or convert them, or skip them with on_invalid=skip."
        raise UnreadableError(f"{folder}: {text}{advice}{hint}")
    if len(unusable) == num_files:
        raise UnreadableError(f"{folder}: {text}{hint}")
    _LOG.warning("%s: Skipped: %s", folder, Lines(text))


def _list_by_file(problems: Mapping[Path, str]) -> Lines:
    return list_problems(
        (path.name, problem if str(path) in problem else f"{path}: {problem}")
        for path, problem in problems.items()
    )


def warn_about_conversions(folder: Path, files: Sequence[FileRecords]) -> None:
    """Warn about interpolated and skipped channels, and about assumptions."""
    interpolated: dict[str, list[Path]] = defaultdict(list)
    notes: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        rate_hz = file.sampling_rate_hz
        for name, own_hz in file.interpolated:
            interpolated[f"{name} from {own_hz:g} to {rate_hz:g} Hz"].append(file.path)
        for note in file.notes:
            notes[note].append(file.path)
    if interpolated:
        changes = [f"{change} ({_names(paths)})" for change, paths in interpolated.items()]
        more = (
            f", and {len(changes) - _CHANGES_SHOWN} more" if len(changes) > _CHANGES_SHOWN else ""
        )
        _LOG.warning(
            "%s: channels of several rates are resampled to the highest of each file by linear "
            "interpolation: %s%s. To use channels of one rate as they are, choose them with "
            "--config.data.channels or in the manifest's 'channels'.",
            folder,
            "; ".join(changes[:_CHANGES_SHOWN]),
            more,
        )
    for note, paths in list(notes.items())[:_CHANGES_SHOWN]:
        _LOG.warning("%s: %s: %s.", folder, _names(paths), note)
    unusable = {file.path: " ".join(file.unusable) for file in files if file.unusable}
    if unusable:
        _LOG.warning(
            "%s: channels that cannot be used and are not requested are skipped in %d files:\n%s",
            folder,
            len(unusable),
            _list_by_file(unusable),
        )


def _find_joining_headers(
    candidates: Sequence[Candidate],
    files: Mapping[Path, FileRecords],
    unusable: Mapping[Path, str],
) -> dict[Path, list[Path]]:
    """Map each header without samples to its segments, if all of them exist."""
    joining = {c.path for c in candidates if c.parts}
    by_name = {
        str(path.with_suffix("")).lower(): path
        for path in (*files, *unusable)
        if path not in joining
    }
    found: dict[Path, list[Path]] = {}
    for candidate in candidates:
        if candidate.parts is None or not files:
            continue
        names = [str(candidate.path.parent / part).lower() for part in candidate.parts]
        if all(name in by_name for name in names):
            found[candidate.path] = [by_name[name] for name in names]
    return found


def _names(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - _FILES_SHOWN} more" if len(paths) > _FILES_SHOWN else ""
    return ", ".join(path.name for path in paths[:_FILES_SHOWN]) + more

"""Finding the recordings of a folder that has no manifest."""

import dataclasses
import itertools
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from physio_mae_jax.data.formats.candidate import Candidate
from physio_mae_jax.data.formats.drafting import draft_from_candidates, format_draft
from physio_mae_jax.data.formats.edf_header import looks_like_edf
from physio_mae_jax.data.formats.file_facts import format_missing_facts, missing_facts
from physio_mae_jax.data.formats.foreign import conversion_advice
from physio_mae_jax.data.formats.manifest import (
    MANIFEST_NAME,
    ManifestEntry,
    expand_entries,
    load_manifest,
)
from physio_mae_jax.data.formats.readers import (
    READERS,
    TEXT_TABLE_SUFFIXES,
    file_suffix,
    get_reader,
)
from physio_mae_jax.data.formats.resolve import resolve
from physio_mae_jax.data.formats.vendors.registry import (
    recording_of_folder,
    vendor_format,
    vendor_recordings,
)
from physio_mae_jax.data.formats.wfdb_record import SegmentsError
from physio_mae_jax.errors import DataError
from physio_mae_jax.types import JsonObject

_LOG = logging.getLogger(__name__)
_SHOWN = 5
_SHOWN_BROKEN = 30
_MAX_WALKED = 2000
# Endings that other formats have too: the content decides.
_SHARED_ENDINGS = (".bdf", ".rec")


class UndescribedError(DataError):
    """Files that do not describe themselves and need a manifest."""


def find_described_files(
    folder: Path, manifest_path: str | Path | None = None, *, skip: bool = False
) -> tuple[list[Candidate], str]:
    """Probe the files that a manifest lists, or those of a folder that has none.

    Args:
        folder: Folder as returned by ``require_folder``.
        manifest_path: Manifest path; defaults to ``manifest.json`` in the folder, if present.
        skip: Whether files without metadata count as broken, if others have metadata.

    Returns:
        The files, including broken ones, and a hint about files in subfolders, which are not
        included.

    Raises:
        DataError: the manifest or a listed file is missing, or a file does not describe itself.
    """
    manifest = Path(manifest_path).expanduser() if manifest_path else folder / MANIFEST_NAME
    if manifest_path or os.path.lexists(manifest):  # a dangling link is an error
        entries = expand_entries(folder, load_manifest(manifest))
        return [probe_file(path, entry) for path, entry in entries], ""
    return require_described(folder, find_candidates(folder), skip=skip), subfolder_hint(folder)


def find_candidates(folder: Path) -> list[Candidate]:
    """Probe every file directly in ``folder`` that has the ending of a known format.

    Raises:
        DataError: there is none; the message names subfolders that contain some.
    """
    children = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    files = [p for p in children if p.is_file()]
    named = [p for p in children if p.suffix.lower() in READERS]
    for path in (p for p in named if not p.is_file() and not p.is_dir()):
        message = f"{path} is a broken link, a pipe or a device, where a file is expected"
        if not files:
            raise DataError(f"{message}; remove it, or give another folder.")
        _LOG.warning("Skipped: %s.", message)
    vendor, parts = vendor_recordings(files)
    found = (recording_of_folder(child) for child in children if child.is_dir())
    folders = [path for path in found if path is not None]
    others = [p for p in files if p not in parts and p not in vendor]
    tables = [p for p in others if _may_be_recording(p)]
    paths = sorted([*vendor, *folders, *tables]) or _find_text_tables(others)
    hint = subfolder_hint(folder)
    if not paths:
        raise DataError(
            f"{folder} has no recordings: no file ends in {', '.join(READERS)}, and none is an "
            f"export of a known device.{conversion_advice(files)}"
            f"{hint or ' Give the folder that holds the recordings.'}"
        )
    if hint:
        _LOG.info("%s:%s", folder, hint)
    names = [path.relative_to(folder).as_posix() for path in paths]
    return [
        probe_file(path, ManifestEntry(label=f"file {name}", file=name))
        for path, name in zip(paths, names, strict=True)
    ]


def _find_text_tables(files: Sequence[Path]) -> list[Path]:
    """Return the text tables of a folder without .csv; .txt beside other formats are notes."""
    others = {file_suffix(p) for p in files} - {*TEXT_TABLE_SUFFIXES, "", ".md", ".pdf", ".json"}
    return [
        p
        for p in files
        if file_suffix(p) in TEXT_TABLE_SUFFIXES and not (others and ".txt" in file_suffix(p))
    ]


def _may_be_recording(path: Path) -> bool:
    suffix = path.suffix.lower()
    return suffix in READERS and (suffix not in _SHARED_ENDINGS or looks_like_edf(path))


def probe_file(path: Path, entry: ManifestEntry) -> Candidate:
    """Read the metadata of a file; a file that cannot be used is returned with its error.

    Args:
        path: Path of the file.
        entry: Its manifest entry.

    Raises:
        DataError: no reader for this format, or the entry has fields of another format.
    """
    reader = get_reader(path)
    _reject_unsupported_fields(path, entry)
    try:
        facts = reader.probe(path, entry)
        missing = tuple(missing_facts(facts, entry))
    except DataError as error:
        parts = error.parts if isinstance(error, SegmentsError) else None
        return Candidate(path=path, entry=entry, facts=None, error=str(error), parts=parts)
    return Candidate(path=path, entry=entry, facts=facts, missing=missing)


def require_described(
    folder: Path, candidates: Sequence[Candidate], *, skip: bool = False
) -> list[Candidate]:
    """Require that every candidate describes itself (or is broken, which is reported later).

    Args:
        folder: Folder that contains the candidates.
        candidates: Probed files.
        skip: Whether files without metadata count as broken, if others have metadata.

    Raises:
        UndescribedError: some do not; the message lists them and what they lack, and drafts a
            manifest.
    """
    without_metadata = [c for c in candidates if c.missing]
    if not without_metadata:
        return list(candidates)
    if skip and any(c.facts and not c.missing for c in candidates):
        return [_mark_as_broken(c) if c.missing else c for c in candidates]
    broken = list(filter(None, map(_problem, candidates)))
    lines = [
        f"  {c.path.name} {format_missing_facts(c.facts, c.missing)}"
        for c in without_metadata[:_SHOWN]
        if c.facts
    ]
    if len(without_metadata) > _SHOWN:
        lines.append(f"  ... and {len(without_metadata) - _SHOWN} more")
    lines += [f"  {problem}" for problem in broken[:_SHOWN_BROKEN]]
    if len(broken) > _SHOWN_BROKEN:
        lines.append(f"  ... and {len(broken) - _SHOWN_BROKEN} more that cannot be used")
    draft = format_draft(draft_from_candidates(candidates))
    if len(draft) > 4000:
        draft = draft[:4000] + "\n..."
    raise UndescribedError(
        f"{folder} has {len(without_metadata)} of {len(candidates)} files that do not describe "
        "themselves:\n"
        + "\n".join(lines)
        + f"\nWrite {folder / MANIFEST_NAME} (or point the manifest setting to a file elsewhere). "
        "A draft follows; replace every '?', check 'axes', and delete entries that are not "
        f"recordings:\n{draft}"
        f"\n{subfolder_hint(folder).strip()}".rstrip()
    )


def _problem(candidate: Candidate) -> str:
    """Explain why a file cannot be used; '' if it can."""
    if candidate.facts is None or candidate.missing:
        return candidate.error
    try:
        resolve(candidate.facts, candidate.entry, candidate.path, Path(candidate.path.name))
    except DataError as error:
        return str(error)
    return ""


def _mark_as_broken(candidate: Candidate) -> Candidate:
    assert candidate.facts is not None
    missing = format_missing_facts(candidate.facts, candidate.missing)
    error = f"{candidate.path} {missing}; state it in a manifest."
    return dataclasses.replace(candidate, facts=None, missing=(), error=error)


def draft_manifest(path: str | Path) -> JsonObject:
    """Draft a manifest for the files directly in a folder.

    Args:
        path: Folder to describe.

    Returns:
        The content for ``manifest.json``. Values that no file states are the placeholder "?".

    Raises:
        DataError: the folder does not exist or holds no files of known formats.
    """
    return draft_from_candidates(find_candidates(require_folder(path)))


def require_folder(path: str | Path) -> Path:
    """Return ``path`` with ``~`` expanded, absolute.

    Raises:
        DataError: it does not exist, is not a folder, or cannot be listed.
    """
    folder = Path(path).expanduser().absolute()
    try:
        if folder.is_dir():
            next(folder.iterdir(), None)
            return folder
        found = folder.is_file()
    except (OSError, ValueError) as error:
        raise DataError(f"folder {str(path)!r} cannot be listed: {error}.") from error
    if found:
        raise DataError(f"{folder} is a file; give the folder that holds it, {folder.parent}.")
    parent = next((p for p in folder.parents if p.is_dir()), folder)
    raise DataError(
        f"folder {folder} does not exist ({parent} does); expected a folder of recordings "
        f"({', '.join(READERS)}). Correct the path given for the data."
    )


def _reject_unsupported_fields(path: Path, entry: ManifestEntry) -> None:
    suffix = file_suffix(path)
    for key in entry.members:
        if suffix != ".npz" and (suffix, key) != (".mat", "array"):
            raise DataError(
                f"{entry.label}: {key!r} names a member of an .npz; {path} is not an .npz file."
            )
    if entry.axes is not None and suffix not in (".npy", ".npz", ".mat"):
        raise DataError(
            f"{entry.label}: 'axes' applies to arrays; the format of {path} fixes its axes."
        )


def subfolder_hint(folder: Path) -> str:
    """Return a hint about recordings in sub-folders; empty where they have none."""
    found: dict[str, str] = {}
    for child in sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != "."):
        # Enough for a hint; a whole disk below would take minutes to walk.
        if recording_of_folder(child):
            continue
        for path in itertools.islice(child.rglob("*"), _MAX_WALKED):
            if path.suffix.lower() in READERS or vendor_format(path):
                found.setdefault(child.name, path.suffix.lower())
    if not found:
        return ""
    name, suffix = next(iter(found.items()))
    return (
        f" Its subfolders {', '.join(f'{name}/' for name in found)} are not read without a "
        "manifest; to use their files, give such a folder, or list them in "
        f'{folder / MANIFEST_NAME}, such as {{"recordings": [{{"file": "{name}/**/*{suffix}"}}]}}.'
    )

"""Finding the signal files of a WFDB record and checking them against its header."""

import contextlib
import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.wfdb_header import NO_FILE, WfdbHeader, WfdbSignal
from physio_mae_jax.data.formats.wfdb_samples import (
    FORMATS,
    SignalFile,
    count_stored_frames,
    min_file_bytes,
)


class StoredRecord(NamedTuple):
    """Location of the samples of a record.

    Attributes:
        num_frames: Number of frames of the record.
        files: Files with samples.
        positions: Signal -> (index in ``files``, index of its first sample in a frame).
        companions: Paths of the files, relative to the folder of the header.
        unusable: Mapping of signal to the reason its samples cannot be read (one sentence).
        notes: Assumptions made, for a warning.
    """

    num_frames: int
    files: tuple[SignalFile, ...]
    positions: Mapping[int, tuple[int, int]]
    companions: tuple[str, ...]
    unusable: Mapping[int, str]
    notes: tuple[str, ...] = ()

    def get_file(self, signal: int) -> SignalFile:
        """Return the file that contains the samples of a signal."""
        return self.files[self.positions[signal][0]]


def locate_signal_files(path: Path, header: WfdbHeader) -> StoredRecord:
    """Find the signal files of a record and compare their sizes with its header.

    Args:
        path: Path of the header.
        header: Parsed header.

    Raises:
        UnreadableError: no signal of the record can be read.
    """
    members: dict[str, list[int]] = {}
    for i, signal in enumerate(header.signals):
        members.setdefault(signal.file_name, []).append(i)
    files: list[SignalFile] = []
    positions: dict[int, tuple[int, int]] = {}
    unusable: dict[int, str] = {}
    for name, signals in members.items():
        try:
            file = _signal_file(path, name, [header.signals[i] for i in signals])
        except UnreadableError as error:
            unusable |= dict.fromkeys(signals, str(error))
            continue
        begin = 0
        for i in signals:
            positions[i] = (len(files), begin)
            begin += header.signals[i].samples_per_frame
        files.append(file)
    num_frames, truncated, notes = _num_frames(path, header, files)
    for i, (number, _) in positions.items():
        if number in truncated:
            unusable[i] = truncated[number]
    if len(unusable) == len(header.signals):
        raise UnreadableError(" ".join(dict.fromkeys(unusable.values())))
    companions = tuple(os.path.relpath(file.path, path.parent) for file in files)
    return StoredRecord(num_frames, tuple(files), positions, companions, unusable, notes)


def _signal_file(path: Path, name: str, signals: Sequence[WfdbSignal]) -> SignalFile:
    """Describe the file of some signals.

    Raises:
        UnreadableError: it is missing, not a regular file, or its format is unknown.
    """
    first = signals[0]
    if first.format not in FORMATS:
        raise UnreadableError(
            f"{path}: signal {first.name!r} is stored in format {first.format}, which is not "
            f"supported; supported: {', '.join(map(str, FORMATS))}. Convert it, or exclude it."
        )
    # Writers give the offset in the first line of a file only, or in all of them.
    offsets = {signal.byte_offset for signal in signals[1:]} - {0}
    if {signal.format for signal in signals} != {first.format} or offsets - {first.byte_offset}:
        raise UnreadableError(
            f"{path} gives several formats or byte offsets for one signal file, {name!r}; copy "
            "the header again."
        )
    return SignalFile(
        path=_find_signal_file(path, name),
        format=first.format,
        samples_per_frame=tuple(signal.samples_per_frame for signal in signals),
        initial_values=tuple(signal.initial_value for signal in signals),
        byte_offset=first.byte_offset,
    )


def _find_signal_file(path: Path, name: str) -> Path:
    """Find a signal file by name, in the folder of the header or below it.

    Some headers name the former folder of the record, or differ in letter case.

    Raises:
        UnreadableError: it does not exist, or is not a regular file.
    """
    parts = Path(name).parts
    is_relative = bool(parts) and not Path(name).is_absolute() and ".." not in parts
    # A symbolic link to a header may be alone; its signal files are beside the target.
    folders = [path.parent, *([path.resolve().parent] if path.is_symlink() else [])]
    candidates = [folder / name for folder in folders if is_relative]
    candidates += [
        folder / parts[-1] for folder in folders if parts and parts[-1] not in ("..", "/")
    ]
    if name == NO_FILE:
        raise UnreadableError(f"{path} names no file for some of its signals.")
    for candidate in candidates:
        if _is_file(candidate):
            return candidate
    for candidate in candidates:
        if os.path.lexists(candidate):
            kind = "a folder" if candidate.is_dir() else "a pipe, a device or a broken link"
            raise UnreadableError(
                f"{candidate}, the signal file of {path.name}, is {kind}; a regular file is "
                "expected. Copy the record again, or exclude it from the folder or manifest."
            )
    for folder in folders:
        with contextlib.suppress(OSError):
            names = _names_in(folder, folder.stat().st_mtime_ns)
            other = folder / names.get(parts[-1].lower() if parts else "", "")
            if other.is_file():
                return other
    raise UnreadableError(
        f"{path} names the signal file {name[:80]!r}, which is not in {path.parent}; copy it "
        "there, or exclude the record from the folder or manifest."
    )


@functools.lru_cache(maxsize=4)
def _names_in(folder: Path, version: int) -> Mapping[str, str]:
    """Map lower-case names to the names in a folder; cached across records."""
    return {name.lower(): name for name in os.listdir(folder)}


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        # The name is not valid on this file system.
        return False


def _num_frames(
    path: Path, header: WfdbHeader, files: Sequence[SignalFile]
) -> tuple[int, dict[int, str], tuple[str, ...]]:
    """Return the number of frames, a problem for each truncated file, and notes."""
    if not header.num_frames:
        found = {file.path.name: count_stored_frames(file) for file in files}
        shortest = min(found.values(), default=0)
        if max(found.values(), default=0) == shortest:
            return shortest, {}, ()
        ends = ", ".join(f"{frames} in {name}" for name, frames in found.items())
        return (
            shortest,
            {},
            (f"the header states no length, and there are {ends}: the smallest number is read",),
        )
    truncated = {}
    for number, file in enumerate(files):
        needed = min_file_bytes(file, header.num_frames)
        size = file.path.stat().st_size
        # The length of a compressed file is only in its own header.
        if size < needed or (not needed and count_stored_frames(file) < header.num_frames):
            truncated[number] = (
                f"{file.path} is truncated: {path.name} states {header.num_frames} samples, "
                "about "
                f"{needed} bytes; it has {size}. Copy it again, or exclude the record from the "
                "folder or manifest."
            )
    return header.num_frames, truncated, ()

"""Checksum lists such as PhysioNet's SHA256SUMS.txt: the files of a data set and their hashes."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from physio_mae_jax.errors import DataError

CHECKSUM_LIST = "SHA256SUMS.txt"
PARTIAL_SUFFIX = ".part"
# Format of sha256sum; the star marks files read as binary.
_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")
# File system limits, with room for PARTIAL_SUFFIX and the parent folder.
_LONGEST = 255 - len(PARTIAL_SUFFIX)
_LONGEST_PATH = 1_000
_MAX_FOLDERS = 64
_DRIVE = re.compile(r"[A-Za-z]:")


def parse_checksums(content: bytes, where: str) -> dict[str, str]:
    """Parse a checksum list: lines '<sha256>  <relative path>'.

    Args:
        content: Content of the list, UTF-8.
        where: Name of the list in error messages.

    Returns:
        Path, relative to the list and inside its folder -> checksum in lower case.

    Raises:
        DataError: a line is malformed, a path is outside the folder, two paths conflict, or
            nothing is listed.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not a checksum list: it is not UTF-8 ({error}).") from error
    checksums: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.rstrip())
        if match is None:
            raise DataError(
                f"{where}, line {number} reads {line.strip()[:80]!r}; '<sha256>  <path>' is "
                "expected. Is the URL that of the files, and are they publicly accessible?"
            )
        name = _normalize_path(match[2], f"{where}, line {number}")
        checksum = match[1].lower()
        if checksums.setdefault(name, checksum) != checksum:
            raise DataError(f"{where}, line {number}: {name!r} is listed with two checksums.")
    checksums.pop(CHECKSUM_LIST, None)
    if not checksums:
        raise DataError(f"{where} lists no files.")
    _reject_collisions(checksums, where)
    return checksums


def select_files(checksums: Mapping[str, str], needed: Sequence[str], where: str) -> dict[str, str]:
    """Keep the files whose path matches a glob; '*' also matches slashes.

    Raises:
        DataError: a glob matches nothing.
    """
    for pattern in needed:
        if not any(fnmatchcase(name, pattern) for name in checksums):
            raise DataError(
                f"{where} lists no file matching {pattern!r}, which this data set needs; it lists "
                f"{', '.join(list(checksums)[:5])} ... Is it the URL of this data set?"
            )
    return {
        name: checksum
        for name, checksum in checksums.items()
        if any(fnmatchcase(name, pattern) for pattern in needed)
    }


def file_sha256_hex(path: Path) -> str:
    """Return the SHA-256 of a file, in lower case."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _normalize_path(name: str, where: str) -> str:
    """Return a normalized path; reject those that leave their folder."""
    path = PurePosixPath(name)
    if (
        len(path.parts) > _MAX_FOLDERS
        or len(name) > _LONGEST_PATH
        or _longest_name_bytes(path) > _LONGEST
    ):
        raise DataError(
            f"{where}: the path {name[:80]!r} of {len(name):,} characters and {len(path.parts):,} "
            "folders is rejected; no file system supports it."
        )
    is_unsafe = not name.isprintable() or "\\" in name or _DRIVE.match(name)
    if path.is_absolute() or not path.parts or ".." in path.parts or is_unsafe:
        raise DataError(
            f"{where}: the path {name[:80]!r} is rejected; it must be relative and stay inside the "
            "folder."
        )
    return path.as_posix()


def _longest_name_bytes(path: PurePosixPath) -> int:
    """Return the length in bytes of the longest name in a path."""
    return max((len(part.encode("utf-8", "replace")) for part in path.parts), default=0)


def _reject_collisions(names: Mapping[str, str], where: str) -> None:
    """Reject files that are also folders, or whose names conflict with partial downloads."""
    for name in names:
        for parent in PurePosixPath(name).parents:
            if parent.as_posix() in names:
                raise DataError(f"{where}: {parent} is listed as a file and as a folder.")
        if name + PARTIAL_SUFFIX in names:
            raise DataError(
                f"{where}: {name + PARTIAL_SUFFIX} has the name of the partial download of {name}; "
                "download the files by other means."
            )

"""Opening files that may come from anyone: ordinary files only, no more bytes than expected.

A pipe never ends or never begins, and a device such as /dev/zero has no end; either would hang a
program that takes it for a file. Symbolic links are followed: people link disks, and caches of
downloads consist of links.
"""

import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

from physio_mae_jax.errors import DataError

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)
_FILE_NAME = re.compile(r"[\w.-]{0,200}\w")
# An open for reading must not wait until somebody writes into a pipe.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def open_regular(path: Path, way_out: str) -> BinaryIO:
    """Open an ordinary file for reading bytes.

    Args:
        path: of the file, or a link to it.
        way_out: a clause for the error, such as 'copy the folder again.'

    Raises:
        DataError: it is absent, may not be read, or is a pipe, device, socket or folder.
    """
    try:
        # Asked first, since opening some devices has effects; asked again of what was opened.
        _refuse_other_kinds(path, os.stat(path).st_mode, way_out)
        descriptor = os.open(path, _FLAGS)
    except (OSError, ValueError) as error:  # ValueError: of a name with a NUL in it
        if isinstance(error, DataError):
            raise
        raise unreadable(path, error, way_out) from error
    try:
        _refuse_other_kinds(path, os.fstat(descriptor).st_mode, way_out)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, way_out: str, max_bytes: int) -> bytes:
    """Return the content of an ordinary file.

    Raises:
        DataError: as ``open_regular``, or it is larger than ``max_bytes``.
    """
    with open_regular(path, way_out) as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise DataError(
                f"{path} has {size:,} bytes, where {max_bytes:,} at most are expected; {way_out}"
            )
        try:
            return file.read(size)
        except (OSError, MemoryError) as error:
            raise unreadable(path, error, way_out) from error


def regular_size(path: Path, way_out: str) -> int:
    """Return the bytes of an ordinary file; raises as ``open_regular`` does."""
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, error, way_out) from error
    _refuse_other_kinds(path, status.st_mode, way_out)
    return status.st_size


def check_file_name(name: str) -> None:
    """Refuse what is not the plain name of a file, such as one with folders in it.

    Raises:
        DataError: as said.
    """
    if not _FILE_NAME.fullmatch(name):
        raise DataError(f"{shortened(name)!r} is not the name of a file in this folder")


def user_path(name: Path | str) -> Path:
    """Return a path with its '~' replaced by a home folder.

    Raises:
        DataError: it is the home of somebody who is not there.
    """
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise DataError(
            f"{shortened(name)} cannot be found: {error} Give the path without '~'."
        ) from error


def is_folder(path: Path) -> bool:
    """Say whether a path is a folder; False too for a name that no file system can hold."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def unreadable(path: Path, error: BaseException, way_out: str) -> DataError:
    """Return the error for a file that the system does not let us read."""
    reason = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return DataError(f"{shortened(path)} cannot be read ({reason}); {way_out}")


def shortened(path: Path | str) -> str:
    """Return a path for a message; of one beyond all bounds only its ends."""
    text = str(path)
    return text if len(text) <= 500 else f"{text[:100]}…{text[-100:]}"


def _refuse_other_kinds(path: Path, mode: int, way_out: str) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "no file")
        raise DataError(f"{path} is {kind}, where an ordinary file is expected; {way_out}")

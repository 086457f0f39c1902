"""Opening untrusted files: regular files only, of limited size.

Reading a pipe may block forever, and a device such as /dev/zero is infinite; either would hang the
program. Symbolic links are followed, since data disks are often linked and download caches use
links.
"""

import os
import re
import stat
from io import BufferedReader
from pathlib import Path

from physio_mae_jax.errors import DataError

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)
_FILE_NAME = re.compile(r"[\w.-]{0,200}\w")
# Without O_NONBLOCK, opening a pipe would wait for a writer.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def open_regular(path: Path, hint: str) -> BufferedReader:
    """Open a regular file for reading bytes.

    Args:
        path: Path of the file, or of a link to it.
        hint: Clause that ends the error, such as 'copy the folder again.'

    Raises:
        DataError: the file is missing, unreadable, or a pipe, device, socket or folder.
    """
    try:
        # Checked before opening, as opening some devices has side effects, and again afterwards.
        _require_regular(path, os.stat(path).st_mode, hint)
        descriptor = os.open(path, _FLAGS)
    except (OSError, ValueError) as error:  # ValueError: the name contains a NUL
        if isinstance(error, DataError):
            raise
        raise unreadable(path, error, hint) from error
    try:
        _require_regular(path, os.fstat(descriptor).st_mode, hint)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, hint: str, max_bytes: int) -> bytes:
    """Return the content of a regular file.

    Raises:
        DataError: as in ``open_regular``, or the file is larger than ``max_bytes``.
    """
    with open_regular(path, hint) as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise DataError(
                f"{path} has {size:,} bytes, but at most {max_bytes:,} are expected; {hint}"
            )
        try:
            return file.read(size)
        except (OSError, MemoryError) as error:
            raise unreadable(path, error, hint) from error


def regular_size(path: Path, hint: str) -> int:
    """Return the size of a regular file in bytes; raises as ``open_regular`` does."""
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, error, hint) from error
    _require_regular(path, status.st_mode, hint)
    return status.st_size


def check_file_name(name: str) -> None:
    """Reject names that are not plain file names, such as paths with folders.

    Raises:
        DataError: the name is not a plain file name.
    """
    if not _FILE_NAME.fullmatch(name):
        raise DataError(f"{shorten_path(name)!r} is not the name of a file in this folder")


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder; False also for names that are invalid paths."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def unreadable(path: Path, error: BaseException, hint: str) -> DataError:
    """Create the error for a file that the operating system cannot read."""
    reason = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return DataError(f"{shorten_path(path)} cannot be read ({reason}); {hint}")


def shorten_path(path: Path | str) -> str:
    """Abbreviate very long paths in the middle, for messages."""
    text = str(path)
    return text if len(text) <= 500 else f"{text[:100]}…{text[-100:]}"


def _require_regular(path: Path, mode: int, hint: str) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "not a file")
        raise DataError(f"{path} is {kind}, where a regular file is expected; {hint}")

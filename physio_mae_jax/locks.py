"""Folder locks, which the system releases when their process ends, however it ends."""

import contextlib
import datetime
import errno
import fcntl
import json
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from physio_mae_jax.errors import UserError
from physio_mae_jax.printable import printable

_LOG = logging.getLogger(__name__)
_TAKEN = (errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN)
# File systems without locks: some of NFS, FUSE and Lustre.
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)
_MAX_NOTE = 4096
# Path of a lock -> the process that took it (forked children copy this) and whether it is shared.
_held: dict[Path, tuple[int, bool]] = {}


class LockedError(UserError):
    """Another process holds a lock; the message says which one, and since when."""


@contextlib.contextmanager
def locked(
    path: Path,
    message: str,
    hint: str,
    *,
    shared: bool = False,
    reentrant: bool = True,
    remove: bool = False,
) -> Iterator[None]:
    """Hold a lock during the block.

    If the file system has no locks, a warning is logged. A forked child does not hold the locks
    of its parent.

    Args:
        path: Path of the lock file, in an existing folder.
        taken: Error message if the lock is held already; the holder is appended.
        hint: Advice appended to that message.
        shared: Whether to take a shared lock, which excludes exclusive holders only.
        again: Whether this process may already hold it (nested calls).
        remove: Whether to delete the file at the end; a remaining file does not lock by itself.

    Raises:
        LockedError: Another process holds the lock.
        OSError: The file cannot be created.
    """
    path = path.parent.resolve() / path.name
    current_holder = _held.get(path)
    if reentrant and current_holder == (os.getpid(), False):
        yield
        return
    with _open_locked(path, message, hint, shared):
        _held[path] = (os.getpid(), shared)
        try:
            yield
        finally:
            _held.pop(path, None)
            if remove:  # while held: a process that opened it before notices, see _open_locked
                path.unlink(missing_ok=True)


def _open_locked(path: Path, message: str, hint: str, shared: bool) -> IO[str]:
    """Open a lock file and take its lock."""
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            if not try_lock(file, path, shared):
                raise LockedError(f"{message} ({_holder(file)}). {hint}")
            if _is_at(file, path):
                _write_note(file)
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # its last holder deleted the file; others lock a new one


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def try_lock(file: IO[str], path: Path, shared: bool = False) -> bool:
    """Acquire the lock of an open file until it is closed; False if another process holds it."""
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        if error.errno not in _UNSUPPORTED:
            raise
        _LOG.warning(
            "the file system of %s has no locks (%s); make sure that no other process "
            "writes there.",
            path.parent,
            error.strerror,
        )
    return True


def _write_note(file: IO[str]) -> None:
    """Write the holder into a lock file, for messages only."""
    since = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    note = {"host": socket.gethostname(), "pid": os.getpid(), "since": since}
    with contextlib.suppress(OSError):  # later writes report a full disk
        file.seek(0)
        file.truncate()
        file.write(json.dumps(note) + "\n")
        file.flush()


def _holder(file: IO[str]) -> str:
    """Describe the holder of a lock, if its file states one."""
    try:
        file.seek(0)
        note = json.loads(file.read(_MAX_NOTE))
        host, pid, since = (printable(note[name]) for name in ("host", "pid", "since"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "its lock file does not name the process"
    here = " (this machine)" if host == socket.gethostname() else ""
    return f"process {pid} on {host}{here} since {since}"

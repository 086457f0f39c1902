"""Locks on folders, which the system takes back when their process ends, however it ends."""

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
_LONGEST_NOTE = 4096
# Path of a lock -> the process that took it (a forked child has a copy of this) and if it shares.
_held: dict[Path, tuple[int, bool]] = {}


class LockedError(UserError):
    """Another process holds a lock; the message says which one, and since when."""


@contextlib.contextmanager
def locked(
    path: Path,
    taken: str,
    way_out: str,
    *,
    shared: bool = False,
    again: bool = True,
    remove: bool = False,
) -> Iterator[None]:
    """Hold a lock as long as the block runs.

    Where the file system has no locks, a warning says so. A forked child does not hold what its
    parent does.

    Args:
        path: of the lock file, whose folder is there.
        taken: what to say where it is held already; who holds it is added.
        way_out: what to do then.
        shared: others may hold it likewise, but none alone.
        again: this process may hold it already, as the caller of a function that needs it does.
        remove: take the file away at the end; else it stays, and means nothing by itself.

    Raises:
        LockedError: another process holds it.
        OSError: the file cannot be made.
    """
    path = path.parent.resolve() / path.name
    mine = _held.get(path)
    if again and mine == (os.getpid(), False):
        yield
        return
    with _open_locked(path, taken, way_out, shared):
        _held[path] = (os.getpid(), shared)
        try:
            yield
        finally:
            _held.pop(path, None)
            if remove:  # while it is held: whoever opened it before finds out, see _open_locked
                path.unlink(missing_ok=True)


def _open_locked(path: Path, taken: str, way_out: str, shared: bool) -> IO[str]:
    """Open a lock file and take its lock."""
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            if not try_lock(file, path, shared):
                raise LockedError(f"{taken} ({_holder(file)}). {way_out}")
            if _is_at(file, path):
                _write_note(file)
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # its last holder took the file away; another one is locked by others


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def try_lock(file: IO[str], path: Path, shared: bool = False) -> bool:
    """Take the lock of an open file until it is closed; False where another holds it."""
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        if error.errno not in _UNSUPPORTED:
            raise
        _LOG.warning(
            "the file system of %s has no locks (%s); make sure yourself that no other process "
            "writes there.",
            path.parent,
            error.strerror,
        )
    return True


def _write_note(file: IO[str]) -> None:
    """Write into a lock file who holds it; what it says never decides anything."""
    since = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    note = {"host": socket.gethostname(), "pid": os.getpid(), "since": since}
    with contextlib.suppress(OSError):  # a full disk is told by what is written after it
        file.seek(0)
        file.truncate()
        file.write(json.dumps(note) + "\n")
        file.flush()


def _holder(file: IO[str]) -> str:
    """Say who holds a lock, as far as the file tells."""
    try:
        file.seek(0)
        note = json.loads(file.read(_LONGEST_NOTE))
        host, pid, since = (printable(note[name]) for name in ("host", "pid", "since"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "its lock file does not say which process"
    here = " (this machine)" if host == socket.gethostname() else ""
    return f"process {pid} on {host}{here} since {since}"

"""Staging of shards until a data set is complete, and the move to its final path."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from physio_mae_jax.data.format_version import unreadable_version
from physio_mae_jax.data.prepared_index import has_former_version
from physio_mae_jax.errors import UserError
from physio_mae_jax.locks import locked

LOCK = ".lock"


@contextlib.contextmanager
def disk_full_as_user_error(position: Path) -> Iterator[None]:
    """Convert errors of a full, read-only or missing disk to a ``UserError``."""
    try:
        yield
    except OSError as error:
        # What the writer of shards raises has no number.
        writing = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, None)
        raise UserError(
            f"cannot {'write to' if writing else 'prepare'} {position}: {error}. Free some space, "
            "bring back what is gone or choose another --out, then run the same command again: it "
            "resumes where it stopped."
        ) from error


def reject_existing(folder: Path, overwrite: bool) -> None:
    """Restore a data set whose replacement was interrupted; reject one that must be kept."""
    if not folder.exists() and _replaced(folder).exists():
        os.replace(_replaced(folder), folder)
    if folder.exists() and not overwrite:
        if has_former_version(folder):
            raise unreadable_version(str(folder))
        raise UserError(f"{folder} exists already; use it, or prepare it again with --overwrite.")


def remove_remains(staging: Path, folder: Path) -> None:
    """Clean up after a run that ended between moving the data set and tidying up."""
    if not (folder.exists() and staging.exists()):
        return
    shards = [path for path in folder.iterdir() if ".array_record" in path.name]
    ours = [staging / path.name for path in shards]
    if all(b.exists() and a.samefile(b) for a, b in zip(shards, ours, strict=True)):
        with contextlib.suppress(UserError), hold(staging):
            shutil.rmtree(staging, ignore_errors=True)


@contextlib.contextmanager
def hold(staging: Path) -> Iterator[None]:
    """Create a folder and lock it for this process."""
    staging.mkdir(parents=True, exist_ok=True)
    hint = "Wait for it, or choose another --out."
    with locked(staging / LOCK, f"another process is preparing {staging.parent}", hint):
        yield


def _replaced(folder: Path) -> Path:
    return folder.with_name(f".replaced-{folder.name}")


def replace_folder(new: Path, folder: Path) -> None:
    """Move a folder to its final path; the previous one is removed only afterwards."""
    old = _replaced(folder)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(folder, old)
    os.replace(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def link(path: Path, target: Path) -> None:
    """Put a file at a second path without copying it, where the file system can."""
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)

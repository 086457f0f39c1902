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
def disk_full_as_user_error(folder: Path) -> Iterator[None]:
    """Convert errors of a full, read-only or missing disk to a ``UserError``."""
    try:
        yield
    except OSError as error:
        # Errors of the shard writer have no errno.
        is_write_error = error.errno in (
            errno.ENOSPC,
            errno.EDQUOT,
            errno.EROFS,
            errno.EACCES,
            None,
        )
        raise UserError(
            f"cannot {'write to' if is_write_error else 'prepare'} {folder}: {error}. Free some "
            "space, reconnect the disk or choose another --out, then run the same command again: "
            "it resumes where it stopped."
        ) from error


def reject_existing(folder: Path, overwrite: bool) -> None:
    """Restore a data set whose replacement was interrupted; reject an existing one."""
    if not folder.exists() and _backup_path(folder).exists():
        os.replace(_backup_path(folder), folder)
    if folder.exists() and not overwrite:
        if has_former_version(folder):
            raise unreadable_version(str(folder))
        raise UserError(f"{folder} exists already; use it, or prepare it again with --overwrite.")


def remove_leftover_staging(staging: Path, folder: Path) -> None:
    """Remove the staging folder of a run that was interrupted after moving the data set."""
    if not (folder.exists() and staging.exists()):
        return
    shards = [path for path in folder.iterdir() if ".array_record" in path.name]
    staged = [staging / path.name for path in shards]
    if all(b.exists() and a.samefile(b) for a, b in zip(shards, staged, strict=True)):
        with contextlib.suppress(UserError), lock_staging(staging):
            shutil.rmtree(staging, ignore_errors=True)


@contextlib.contextmanager
def lock_staging(staging: Path) -> Iterator[None]:
    """Create a folder and lock it for this process."""
    staging.mkdir(parents=True, exist_ok=True)
    hint = "Wait for it, or choose another --out."
    with locked(staging / LOCK, f"another process is preparing {staging.parent}", hint):
        yield


def _backup_path(folder: Path) -> Path:
    return folder.with_name(f".replaced-{folder.name}")


def replace_folder(new: Path, folder: Path) -> None:
    """Move a folder to its final path; the previous one is removed only afterwards."""
    old = _backup_path(folder)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(folder, old)
    os.replace(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def link_or_copy(path: Path, target: Path) -> None:
    """Hard-link a file, or copy it if the file system has no links."""
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)

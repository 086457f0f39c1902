"""Atomic writing of files, and folders that can be written to."""

import contextlib
import errno
import json
import logging
import os
import socket
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from physio_mae_jax.errors import UserError
from physio_mae_jax.local_paths import local_path

if TYPE_CHECKING:  # Matplotlib takes a second to import, and most callers draw nothing
    from matplotlib.figure import Figure

_LOG = logging.getLogger(__name__)
_DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


def prepare_workdir(workdir: str | Path, setting: str = "--workdir") -> Path:
    """Create the folder of a run and check that it is writable.

    Args:
        workdir: Path of the folder; may begin with '~'.
        setting: Name of the setting that gives the path, for errors.

    Raises:
        UserError: The folder cannot be created, or is not a valid path on this machine.
    """
    workdir = local_path(workdir, setting)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        check_writable(workdir)
    except OSError as error:
        raise UserError(
            f"cannot write to the work folder {workdir}: {error.strerror}; choose another one with "
            f"{setting}=DIR."
        ) from error
    return workdir


def check_writable(folder: Path) -> None:
    """Write a file into a folder and remove it again; raises OSError on failure."""
    # A unique name, since other processes of the run do the same at the same time.
    probe = folder / f".write_test_{socket.gethostname()}_{os.getpid()}"
    probe.write_bytes(bytes(4096))
    probe.unlink()


@contextlib.contextmanager
def disk_full_as_user_error(workdir: Path) -> Iterator[None]:
    """Convert errors of a full or missing disk to a ``UserError``."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_FULL_ERRNOS:
            raise
        raise UserError(
            f"cannot write to {workdir}: {error.strerror}. Free some space or choose another "
            "--workdir, then run the same command again: it resumes from what is complete."
        ) from error


@contextlib.contextmanager
def atomic_write(path: Path, *, flush: bool = False) -> Iterator[Path]:
    """Write a file atomically, also from several processes at the same time.

    Args:
        path: File, replaced if it exists; its folder is created.
        flush: Whether to flush the content to the disk before the file is renamed, so that it
            survives a power failure.

    Yields:
        A unique temporary path in the same folder with the same suffix, which is renamed to
        ``path`` at the end and deleted after an error.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".partial-{uuid.uuid4().hex}-{path.name}")
    try:
        yield temporary
        if flush:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, flush: bool = False) -> None:
    """Write a text file atomically; ``flush`` as in ``atomic_write``."""
    with atomic_write(path, flush=flush) as temporary:
        # Unpaired surrogates, which occur in broken data, are escaped.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write a JSON file atomically."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_figure(path: Path, draw: Callable[[], "Figure"]) -> bool:
    """Draw a figure and write it as PNG, atomically.

    A figure that cannot be drawn is reported by a warning and does not stop the run.

    Args:
        path: Path of the PNG file.
        draw: Function that returns the figure.

    Returns:
        True if the file was written.

    Raises:
        OSError: The disk is full or missing.
    """
    try:
        with warnings.catch_warnings(), atomic_write(path) as temporary:
            # Suppressed: one warning per missing glyph would hide other messages.
            warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
            draw().savefig(temporary, format="png", dpi=110)
    except OSError:
        raise
    except Exception as error:
        _LOG.warning(
            "%s could not be drawn (%s: %s); the run continues.",
            *(path, type(error).__name__, str(error)[:300]),
        )
        return False
    return True

"""Atomic writing of the files that describe a run."""

import contextlib
import errno
import json
import logging
import os
import socket
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.errors import DataError, UserError
from physio_mae_jax.local_paths import local_path
from physio_mae_jax.objectives.pretraining import Params

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
def read_errors_as_data_errors(step: int) -> Iterator[None]:
    """Convert an error in reading the data of a step to a ``DataError``."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"the data of step {step} cannot be read: {error}. Is its disk or network drive still "
            "connected? Run the same command again: it resumes from the newest complete checkpoint."
        ) from error


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Write a file atomically, also from several processes at the same time.

    Yields:
        A unique temporary path in the same folder, which is renamed to ``path`` at the end and
        deleted after an error.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_write(path) as temporary:
        # Unpaired surrogates, which occur in broken data, are escaped.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
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


def parameter_table(params: Params) -> str:
    """List every parameter array with shape and count, and the totals of each part."""
    rows = []
    totals: dict[str, int] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        names = [str(getattr(key, "key", key)) for key in path]
        size = int(np.prod(leaf.shape))
        rows.append(f"{'/'.join(names):<58} {leaf.shape!s:<22} {size:>12,}")
        totals[names[0]] = totals.get(names[0], 0) + size
    summary = [f"{part:<81} {count:>12,}" for part, count in totals.items()]
    total = f"{'total':<81} {sum(totals.values()):>12,}"
    return "\n".join([*rows, "", *summary, total]) + "\n"


def parameter_summary(params: Params) -> str:
    """Return the number of parameters of a model and of its parts on one line."""
    counts = {
        part: sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))
        for part, tree in params.items()
    }
    parts = ", ".join(f"{part} {count / 1e6:.2f} M" for part, count in counts.items())
    return f"{sum(counts.values()) / 1e6:.2f} M parameters ({parts})"


def describe_batch(
    batch: Mapping[str, np.ndarray], recordings: Sequence[RecordingInfo], sampling_rate_hz: float
) -> list[dict[str, Any]]:
    """Describe each window of a host batch, so that it can be found in the data again.

    Args:
        batch: Stacked entries of ``data.windows.WindowReader.read``.
        recordings: Recordings of the source of the batch.
        sampling_rate_hz: Sampling rate of the windows, Hz.
    """
    return [
        {
            "recording": recordings[int(recording)].record_id,
            "subject": recordings[int(recording)].subject_id,
            "start_seconds": int(start) / sampling_rate_hz,
            "channels_present": present.tolist(),
            "finite": bool(np.isfinite(signal).all()),
            "minimum": signal.min(axis=-1).tolist(),
            "maximum": signal.max(axis=-1).tolist(),
        }
        for recording, start, present, signal in zip(
            batch["recording"], batch["start"], batch["channel_mask"], batch["signal"], strict=True
        )
    ]

"""The work folder of a run, locked while the run lasts."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from physio_mae_jax import atomic_files
from physio_mae_jax.data.format_version import reject_other_version
from physio_mae_jax.locks import LockedError, locked

LOCK = ".lock"
_HINT = (
    "Wait until it ends, stop it, or choose another --workdir. If that process no longer exists "
    "(after losing a network drive, for example), remove {lock}."
)


@contextlib.contextmanager
def lock_workdir(workdir: Path, *, partition: str = "", shared: bool = False) -> Iterator[Path]:
    """Create a work folder and lock it while the block runs.

    A single run locks it exclusively. Runs that share it hold a shared lock, and an exclusive lock
    on their own partition. In a multi-process run, process 0 holds the lock for all.

    Args:
        workdir: Absolute path.
        share: Name of this process's part of a shared run; '' for the whole run.
        shared: True if other processes may write their own parts, such as trials.

    Raises:
        UserError: another run has locked it, it cannot be written to, or it contains results of
            another format version.
    """
    created_folders = [path for path in (workdir, *workdir.parents) if not path.exists()]
    with contextlib.ExitStack() as stack:
        if shared or partition:
            _acquire_lock(stack, workdir, LOCK, shared=True)
            if partition:
                _acquire_lock(stack, workdir, f"{LOCK}_{partition}", shared=False)
        elif not jax.distributed.is_initialized():
            _acquire_lock(stack, workdir, LOCK, shared=False)
        else:
            _acquire_lock_for_all(stack, workdir)
        with _remove_empty_folders_on_error(created_folders):
            reject_other_version(workdir)
            yield workdir


@contextlib.contextmanager
def claim(folder: Path) -> Iterator[bool]:
    """Lock the folder of one of many runs; yield False if another process has locked it."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(folder / LOCK, str(folder), "", reentrant=False))
        except LockedError:
            yield False
            return
        yield True


@contextlib.contextmanager
def _remove_empty_folders_on_error(created_folders: Sequence[Path]) -> Iterator[None]:
    """After an error, remove created folders that contain nothing but a lock."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            for folder in created_folders:
                files = list(folder.iterdir())
                if not all(path.name.startswith(LOCK) for path in files):
                    break
                for path in files:
                    path.unlink()
                folder.rmdir()
        raise


def _acquire_lock(stack: contextlib.ExitStack, workdir: Path, name: str, *, shared: bool) -> None:
    atomic_files.prepare_workdir(workdir)
    lock = workdir / name
    message, hint = (
        f"the work folder {workdir} is in use by another run",
        _HINT.format(lock=lock),
    )
    stack.enter_context(locked(lock, message, hint, shared=shared))


def _acquire_lock_for_all(stack: contextlib.ExitStack, workdir: Path) -> None:
    """Let process 0 acquire the lock; on failure, every process ends with an error."""
    failure: Exception | None = None
    if jax.process_index() == 0:
        try:
            _acquire_lock(stack, workdir, LOCK, shared=False)
        except Exception as error:
            failure = error
    is_acquired = bool(multihost_utils.broadcast_one_to_all(np.asarray(failure is None)))
    if failure is not None:
        raise failure
    if not is_acquired:
        raise LockedError(
            f"process 0 could not lock the work folder {workdir} for this run; see its log."
        )

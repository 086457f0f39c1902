"""The folder that a run writes, locked by that run for its lifetime."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from physio_mae_jax.data.format_version import reject_other_version
from physio_mae_jax.locks import LockedError, locked
from physio_mae_jax.training import atomic_files

LOCK = ".lock"
_HINT = (
    "Wait for its end or stop it, or choose another --workdir. If that process is gone, as after a "
    "loss of a network drive, remove {lock}."
)


@contextlib.contextmanager
def hold(workdir: Path, *, share: str = "", shared: bool = False) -> Iterator[Path]:
    """Create a work folder and hold its lock while the block runs.

    A single run holds it exclusively. Runs that share it on purpose hold it together, and each
    its own share exclusively. In a multi-process run, the first process holds it for all.

    Args:
        workdir: Absolute path.
        share: Name of this process's part of a work shared by several; '' for all of it.
        shared: True if others may write their own parts, as trials claimed one by one.

    Raises:
        UserError: Another run holds it, it cannot be written to, or it holds results of another
            format version.
    """
    made = [path for path in (workdir, *workdir.parents) if not path.exists()]
    with contextlib.ExitStack() as stack:
        if shared or share:
            _enter(stack, workdir, LOCK, shared=True)
            if share:
                _enter(stack, workdir, f"{LOCK}_{share}", shared=False)
        elif not jax.distributed.is_initialized():
            _enter(stack, workdir, LOCK, shared=False)
        else:
            _enter_for_all(stack, workdir)
        with _removing_empty_folders(made):
            reject_other_version(workdir)
            yield workdir


@contextlib.contextmanager
def claim(folder: Path) -> Iterator[bool]:
    """Hold the folder of one of many runs; yield False if another process holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(folder / LOCK, str(folder), "", again=False))
        except LockedError:
            yield False
            return
        yield True


@contextlib.contextmanager
def _removing_empty_folders(made: Sequence[Path]) -> Iterator[None]:
    """After an error remove created folders that hold nothing but a lock."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            for folder in made:
                held = list(folder.iterdir())
                if not all(path.name.startswith(LOCK) for path in held):
                    break
                for path in held:
                    path.unlink()
                folder.rmdir()
        raise


def _enter(stack: contextlib.ExitStack, workdir: Path, name: str, *, shared: bool) -> None:
    atomic_files.prepare_workdir(workdir)
    lock = workdir / name
    taken, hint = (
        f"the work folder {workdir} is in use by another run",
        _HINT.format(lock=lock),
    )
    stack.enter_context(locked(lock, taken, hint, shared=shared))


def _enter_for_all(stack: contextlib.ExitStack, workdir: Path) -> None:
    """Let process 0 acquire the lock; on failure, every process ends with an error."""
    failure: Exception | None = None
    if jax.process_index() == 0:
        try:
            _enter(stack, workdir, LOCK, shared=False)
        except Exception as error:
            failure = error
    taken = bool(multihost_utils.broadcast_one_to_all(np.asarray(failure is None)))
    if failure is not None:
        raise failure
    if not taken:
        raise LockedError(
            f"process 0 could not take the work folder {workdir} for this run; its log says why."
        )

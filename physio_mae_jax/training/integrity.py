"""Checksums of checkpoints, which detect damage before use.

They detect disk errors, partial copies and accidental edits, but not tampering, since checksums can
be recomputed.
"""

import logging
import os
import re
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from physio_mae_jax import atomic_files
from physio_mae_jax.data.format_version import VersionError
from physio_mae_jax.data.json_types import check_types
from physio_mae_jax.data.regular_file import is_folder
from physio_mae_jax.data.sealed_json import add_seal, read_sealed
from physio_mae_jax.errors import DataError

_LOG = logging.getLogger(__name__)

CHECKSUMS = "checksums.json"
DAMAGED = "damaged_checkpoints"
# Orbax adds the commit time to this file last.
_WRITTEN_LATER = "_CHECKPOINT_METADATA"
_HINT = "copy the checkpoint again."


def write_checksums(folder: Path) -> None:
    """Write the size and checksum of every file of a checkpoint into it."""
    atomic_files.write_json(folder / CHECKSUMS, add_seal({"files": _checksums(folder)}))


def find_damage(folder: Path) -> str:
    """Describe the damage of a checkpoint; '' if there is none.

    Raises:
        VersionError: the checkpoint has another format version.
    """
    path = folder / CHECKSUMS
    if not os.path.lexists(path):
        return f"it has no {CHECKSUMS}, so the copy is incomplete"
    try:
        content = check_types(_Checksums, read_sealed(path, _HINT), str(path), _HINT)
        found = _checksums(folder)
    except VersionError:
        raise
    except (OSError, DataError) as error:
        return f"{CHECKSUMS} or another file cannot be read ({error})"
    for name, (size, checksum) in content["files"].items():
        if name not in found:
            return f"{name} is missing"
        if found[name][0] != size:
            return f"{name} has {found[name][0]} bytes instead of {size}"
        if found[name][1] != checksum:
            return f"{name}: checksum mismatch"
    return ""


def quarantine_damaged(checkpoints: Path) -> None:
    """Ensure that the newest checkpoint is complete; called by one process for all.

    Leftovers of interrupted saves are deleted. Damaged checkpoints are moved, from the newest down
    to the first complete one, into 'damaged_checkpoints' beside ``checkpoints``.
    """
    for partial in checkpoints.glob("*.orbax-checkpoint-tmp*"):
        shutil.rmtree(partial)
    for step in reversed(step_numbers(checkpoints)):
        damage = find_damage(checkpoints / str(step))
        if not damage:
            return
        target = _unused_path(checkpoints.parent / DAMAGED / str(step))
        target.parent.mkdir(exist_ok=True)
        (checkpoints / str(step)).rename(target)
        _LOG.warning(
            "the checkpoint of step %d is damaged: %s. It was moved to %s; the run resumes from "
            "the previous one.",
            *(step, damage, target),
        )


def step_numbers(checkpoints: Path) -> list[int]:
    """Return the numbers of the checkpoints in a folder, ascending; empty if there are none."""
    names = [path.name for path in checkpoints.glob("*")] if is_folder(checkpoints) else []
    return sorted(int(name) for name in names if re.fullmatch(r"0|[1-9]\d{0,17}", name, re.ASCII))


def _unused_path(target: Path) -> Path:
    """Return a path, with a number appended if it exists."""
    number = 1
    original = target
    while target.exists():
        target = original.with_name(f"{original.name}_{number}")
        number += 1
    return target


class _Checksums(TypedDict):
    """Size and CRC-32 of every file by its path in the folder."""

    files: Mapping[str, tuple[int, int]]


def _checksums(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_size, _crc(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (CHECKSUMS, _WRITTEN_LATER)
    }


def _crc(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            value = zlib.crc32(block, value)
    return value

"""Checksums of checkpoints, by which a damaged one is found before it is used."""

import json
import logging
import shutil
import zlib
from pathlib import Path

from physio_mae_jax.training import artifacts

_LOG = logging.getLogger(__name__)

CHECKSUMS = "checksums.json"
DAMAGED = "damaged_checkpoints"
# Orbax writes the time of the commit into it after everything else.
_CHANGES_LATER = "_CHECKPOINT_METADATA"


def write_checksums(folder: Path) -> None:
    """Write the size and checksum of every file of a checkpoint into it."""
    artifacts.write_json(folder / CHECKSUMS, _checksums(folder))


def find_damage(folder: Path) -> str:
    """Say what is wrong with a checkpoint; '' if nothing is, or it has no checksums."""
    path = folder / CHECKSUMS
    if not path.exists():
        return ""
    try:
        expected = json.loads(path.read_text(encoding="utf-8"))
        found = _checksums(folder)
    except (OSError, ValueError) as error:
        return f"{CHECKSUMS} or another file cannot be read ({error})"
    for name, (size, checksum) in expected.items():
        if name not in found:
            return f"{name} is missing"
        if found[name][0] != size:
            return f"{name} has {found[name][0]} bytes instead of {size}"
        if found[name][1] != checksum:
            return f"{name} has other bytes than were written"
    return ""


def tidy(checkpoints: Path) -> None:
    """Leave a whole checkpoint as the newest one; for the one process that does so for all.

    Remains of a save that was cut short are deleted. Damaged checkpoints are moved out of the way,
    from the newest down to the first whole one, into 'damaged_checkpoints' beside ``checkpoints``.
    """
    for remains in checkpoints.glob("*.orbax-checkpoint-tmp*"):
        shutil.rmtree(remains)
    steps = sorted((int(p.name) for p in checkpoints.glob("*") if p.name.isdigit()), reverse=True)
    for step in steps:
        damage = find_damage(checkpoints / str(step))
        if not damage:
            return
        place = _unused(checkpoints.parent / DAMAGED / str(step))
        place.parent.mkdir(exist_ok=True)
        (checkpoints / str(step)).rename(place)
        _LOG.warning(
            "the checkpoint of step %d is damaged: %s. It is kept in %s; the run goes on from the "
            "one before.",
            *(step, damage, place),
        )


def _unused(place: Path) -> Path:
    """Return a path, with a number if it is taken."""
    number = 1
    wanted = place
    while place.exists():
        place = wanted.with_name(f"{wanted.name}_{number}")
        number += 1
    return place


def _checksums(folder: Path) -> dict[str, list[int]]:
    """Return size and CRC-32 of every file, by its path in the folder."""
    return {
        path.relative_to(folder).as_posix(): [path.stat().st_size, _crc(path)]
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (CHECKSUMS, _CHANGES_LATER)
    }


def _crc(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            value = zlib.crc32(block, value)
    return value

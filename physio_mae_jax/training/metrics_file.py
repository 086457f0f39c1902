"""JSON Lines files such as metrics.jsonl: one line per step, appended by one process."""

import json
import logging
from pathlib import Path
from typing import IO

from physio_mae_jax import atomic_files
from physio_mae_jax.errors import UserError
from physio_mae_jax.locks import try_lock
from physio_mae_jax.types import JsonObject

_LOG = logging.getLogger(__name__)
METRICS = "metrics.jsonl"


def open_metrics(path: Path, step: int) -> IO[str]:
    """Open a file for exclusive appending, without the lines after ``step``.

    Raises:
        UserError: Another process has it open for appending.
    """
    file = path.open("a", encoding="utf-8")
    if not try_lock(file, path):
        file.close()
        raise UserError(
            f"{path} is being written by another run; wait until it ends, or choose another "
            "--workdir."
        )
    if drop_lines_after(path, step):
        return file
    file.close()  # the file was replaced
    return open_metrics(path, step)


def read_metrics(workdir: Path) -> list[JsonObject]:
    """Read the lines of a run's metrics.jsonl, skipping a truncated one."""
    lines = (workdir / METRICS).read_bytes().splitlines()
    return [record for line in lines if (record := _parse(line)) is not None]


def drop_lines_after(path: Path, step: int) -> bool:
    """Keep the complete lines of ``path`` up to ``step``.

    At step 0 the file is emptied, because a fresh run evaluates the untrained model again.

    Returns:
        True if the file was truncated in place; False if it was replaced atomically.
    """
    if not path.exists():
        return True
    lines = path.read_bytes().splitlines(keepends=True)
    records = [_parse(line) for line in lines]
    kept = [
        line
        for line, record in zip(lines, records, strict=True)
        if record is not None and step and record["step"] <= step
    ]
    broken = sum(record is None for record in records[:-1])  # the last one may be truncated
    if broken:
        _LOG.warning("%s: %d broken lines are dropped.", path, broken)
    if kept == lines[: len(kept)] and all(line.endswith(b"\n") for line in kept):
        size = sum(map(len, kept))
        if size < path.stat().st_size:
            with path.open("r+b") as file:
                file.truncate(size)
        return True
    with atomic_files.atomic_write(path) as temporary:
        temporary.write_bytes(b"".join(line.rstrip(b"\n") + b"\n" for line in kept))
    return False


def _parse(line: bytes) -> JsonObject | None:
    """Return the content of a line; None if it is not a complete line of a step."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_step = isinstance(record, dict) and isinstance(record.get("step"), int)
    return record if is_step else None

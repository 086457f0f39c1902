"""Deterministic division of the recordings of a source into shards, with fingerprints."""

import contextlib
import dataclasses
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.recording import DatasetLayout, RecordRef, reject_duplicates
from physio_mae_jax.preparation.shards import ShardTask
from physio_mae_jax.printable import printable

_SHARD_BYTES = 16 * 2**20  # of source
_MIN_SHARDS = 8
_MAX_SHARDS = 1024
# Surrogates that Python decodes from file names that are not UTF-8.
_SURROGATE = re.compile("[\ud800-\udfff]")


def plan_shards(
    layout: DatasetLayout, source: Path, path_of: Callable[[int, int], Path]
) -> list[ShardTask]:
    """Divide the recordings of a source into shards of similar size, in order.

    Args:
        layout: Layout of the source.
        source: Raw data folder.
        path_of: Maps a shard number and the shard count to the path of its file.

    Raises:
        DataError: there are no recordings, or two have the same id.
    """
    refs = list(layout.find(source))
    reject_duplicates(refs, str(source))
    if not refs:
        raise DataError(f"{source} contains no recordings of {layout.name}.")
    _reject_broken_names(refs, source)
    groups = _group_by_size(refs, source)
    return [
        ShardTask(
            layout=layout,
            source=source,
            refs=tuple(group),
            path=path_of(number, len(groups)),
            fingerprint=_fingerprint(layout, source, group),
        )
        for number, group in enumerate(groups)
    ]


def _reject_broken_names(refs: Sequence[RecordRef], source: Path) -> None:
    """Reject file names that are not UTF-8, which cannot be stored in the index."""
    names = [name for ref in refs for name in (ref.record_id, *ref.files)]
    broken = [name for name in names if not name.isascii() and _SURROGATE.search(name)]
    if broken:
        raise DataError(
            f"{source} has {len(broken)} names that are not UTF-8, such as "
            f"{printable(broken[0])}; rename the files (convmv renames many files at once)."
        )


def _group_by_size(refs: Sequence[RecordRef], source: Path) -> list[list[RecordRef]]:
    sizes = _source_bytes(refs, source)
    count = min(len(refs), max(_MIN_SHARDS, min(_MAX_SHARDS, int(sizes.sum() // _SHARD_BYTES))))
    ends = np.cumsum(sizes)
    number = np.minimum((ends - sizes / 2) * count // ends[-1], count - 1).astype(int)
    groups: dict[int, list[RecordRef]] = {}
    for ref, group in zip(refs, number, strict=True):
        groups.setdefault(int(group), []).append(ref)
    return [groups[key] for key in sorted(groups)]


def _source_bytes(refs: Sequence[RecordRef], source: Path) -> np.ndarray:
    """Return the bytes of each recording, at least 1; shared files are divided equally."""
    num_uses = Counter(name for ref in refs for name in ref.files)
    file_bytes: dict[str, float] = {}
    for name, count in num_uses.items():
        with contextlib.suppress(OSError):
            file_bytes[name] = (source / name).stat().st_size / count
    return np.array(
        [max(1.0, sum(file_bytes.get(name, 0.0) for name in ref.files)) for ref in refs]
    )


def source_bytes(source: Path, refs: Sequence[RecordRef]) -> int:
    """Return the total size of the files of recordings, counting each file once."""
    return round(float(_source_bytes(refs, source).sum())) if refs else 0


def _fingerprint(layout: DatasetLayout, source: Path, refs: Sequence[RecordRef]) -> str:
    """Hash the inputs of a shard: layout, ids, details, and sizes and times of the files."""
    digest = hashlib.sha256()
    digest.update(repr((layout.name, layout.variant, layout.version)).encode())
    for ref in refs:
        digest.update(repr(dataclasses.astuple(ref)).encode())
        for name in ref.files:
            with contextlib.suppress(OSError):
                status = (source / name).stat()
                digest.update(repr((name, status.st_size, status.st_mtime_ns)).encode())
    return digest.hexdigest()

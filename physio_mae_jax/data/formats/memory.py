"""How much memory an array may take: checked by its header, before it is unpacked."""

import contextlib
import re
from pathlib import Path

from physio_mae_jax.errors import DataError

_MEMINFO = Path("/proc/meminfo")
# Limit, use, and what of it is a cache of files, of cgroups of version 2 and 1.
_CGROUPS = (
    (
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory.current",
        "/sys/fs/cgroup/memory.stat",
        r"^(?:in)?active_file (\d+)$",
    ),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
        r"^total_(?:in)?active_file (\d+)$",
    ),
)
# Beyond both, compressed bytes are no signal: noise alone keeps that of a sensor below ten.
_SMALL_BYTES = 16 * 2**20  # not worth asking the system for
_LARGE_BYTES = 256 * 2**20
_LARGEST_RATIO = 200
_GIB = 2**30


def available_bytes() -> int | None:
    """Return the memory available to this process; None where the system does not report it."""
    free = []
    with contextlib.suppress(OSError):
        match = re.search(r"^MemAvailable:\s*(\d+) kB", _MEMINFO.read_text(), re.MULTILINE)
        if match:
            free.append(int(match[1]) * 1024)
    for limit, used, statistics, cached in _CGROUPS:
        with contextlib.suppress(OSError, ValueError):
            # Cached files count as used, and make room where it is needed.
            cache = sum(map(int, re.findall(cached, Path(statistics).read_text(), re.MULTILINE)))
            free.append(int(Path(limit).read_text()) - int(Path(used).read_text()) + cache)
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        most, _ = resource.getrlimit(resource.RLIMIT_AS)
        if most != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            free.append(most - pages * resource.getpagesize())
    return max(0, min(free)) if free else None


def check_memory(where: str, num_bytes: int, stored_bytes: int) -> None:
    """Reject an array that does not fit into memory, or that is nearly all repetition.

    Args:
        where: Name of the data in error messages.
        num_bytes: Size in memory, in bytes.
        stored_bytes: Size in the file, in bytes.

    Raises:
        DataError: the array is rejected; the message gives both sizes.
    """
    if num_bytes < _SMALL_BYTES:
        return
    free = available_bytes()
    if free is not None and num_bytes > free:
        raise DataError(
            f"{where} takes {num_bytes / _GIB:.3g} GiB of memory, {free / _GIB:.3g} GiB are free. "
            "Save it with numpy.save as .npy, which is read in place, or divide it into several "
            "files."
        )
    if num_bytes > _LARGE_BYTES and num_bytes > _LARGEST_RATIO * max(stored_bytes, 1):
        raise DataError(
            f"{where} unpacks from {stored_bytes:,} bytes to {num_bytes:,}, which no signal does: "
            "the file is damaged or made to fill memory. If it is right, save it with numpy.save "
            "as .npy, or with numpy.savez (not compressed)."
        )

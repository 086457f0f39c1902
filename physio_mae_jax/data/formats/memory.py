"""Memory limits of arrays, checked from the header before unpacking."""

import contextlib
import re
from pathlib import Path

from physio_mae_jax.errors import DataError

_MEMINFO = Path("/proc/meminfo")
# Files with the limit, usage and file-cache size of cgroups v2 and v1.
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
# Noise keeps the compression ratio of sensor signals below ten.
_SMALL_BYTES = 16 * 2**20  # smaller arrays are not checked
_LARGE_BYTES = 256 * 2**20
_LARGEST_RATIO = 200
_GIB = 2**30


def available_bytes() -> int | None:
    """Return the memory available to this process; None where the system does not report it."""
    free_bytes = []
    with contextlib.suppress(OSError):
        match = re.search(r"^MemAvailable:\s*(\d+) kB", _MEMINFO.read_text(), re.MULTILINE)
        if match:
            free_bytes.append(int(match[1]) * 1024)
    for limit, used, statistics, cached in _CGROUPS:
        with contextlib.suppress(OSError, ValueError):
            # File caches count as used memory, but are reclaimable.
            cache = sum(map(int, re.findall(cached, Path(statistics).read_text(), re.MULTILINE)))
            free_bytes.append(int(Path(limit).read_text()) - int(Path(used).read_text()) + cache)
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        limit_bytes, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit_bytes != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            free_bytes.append(limit_bytes - pages * resource.getpagesize())
    return max(0, min(free_bytes)) if free_bytes else None


def check_memory(where: str, num_bytes: int, stored_bytes: int) -> None:
    """Reject an array that exceeds the free memory or has an implausible compression ratio.

    Args:
        where: Name of the data in error messages.
        num_bytes: Size in memory, in bytes.
        stored_bytes: Size in the file, in bytes.

    Raises:
        DataError: the array is rejected; the message gives both sizes.
    """
    if num_bytes < _SMALL_BYTES:
        return
    free_bytes = available_bytes()
    if free_bytes is not None and num_bytes > free_bytes:
        raise DataError(
            f"{where} takes {num_bytes / _GIB:.3g} GiB of memory, but only {free_bytes / _GIB:.3g} "
            "GiB are free. "
            "Save it with numpy.save as .npy, which is read in place, or divide it into several "
            "files."
        )
    if num_bytes > _LARGE_BYTES and num_bytes > _LARGEST_RATIO * max(stored_bytes, 1):
        raise DataError(
            f"{where} unpacks from {stored_bytes:,} bytes to {num_bytes:,}, which is implausible "
            "for a signal: the file is damaged or a decompression bomb. If it is correct, save it "
            "with numpy.save as .npy, or with numpy.savez (not compressed)."
        )

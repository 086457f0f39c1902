"""Cached members of an ``.npz`` file with many recordings."""

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.file_facts import name_file_in_errors
from physio_mae_jax.data.formats.memory import check_memory
from physio_mae_jax.preparation.recording import require_file

# NumPy evaluates member headers as Python literals, so a damaged one can raise almost any error.
_ERRORS = (Exception,)


def load_npz(path: Path, what: str) -> Mapping[str, np.ndarray]:
    """Return all members of a file; the last file is cached.

    Args:
        path: Path of the file.
        what: Expected content, for the message if the file is missing.

    Raises:
        DataError: the file is missing.
        UnreadableError: it is damaged, truncated, or contains objects other than arrays.
    """
    status = require_file(path, what).stat()
    return _load(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=1)
def _load(path: Path, changed_ns: int, size: int) -> Mapping[str, np.ndarray]:
    """Load a file; its modification time and size distinguish versions in the cache."""
    # Opened here, since NumPy leaves the handle of a damaged file open.
    with name_file_in_errors(path, "an .npz file of arrays", _ERRORS), path.open("rb") as file:
        members = np.load(file)
        listed = members.zip.infolist()
        check_memory(
            str(path),
            sum(member.file_size for member in listed),
            sum(member.compress_size for member in listed),
        )
        arrays = {name: members[name] for name in members.files}
    for array in arrays.values():
        array.flags.writeable = False
    return arrays

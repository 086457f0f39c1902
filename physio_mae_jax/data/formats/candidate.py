"""A file that may hold recordings, with what was found out about it."""

import dataclasses
from pathlib import Path

from physio_mae_jax.data.formats.file_facts import FileFacts
from physio_mae_jax.data.formats.manifest import ManifestEntry


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidate:
    """A file that may hold recordings, and what it states about itself.

    Attributes:
        path: Path of the file.
        entry: Manifest entry that contains only the file name.
        facts: Facts read from the file; None where it cannot be used.
        missing: Manifest fields that the file does not state.
        error: Why it cannot be used; empty where it can.
        parts: Records joined by a WFDB header without samples, empty where it only describes some;
            None for all other files.
    """

    path: Path
    entry: ManifestEntry
    facts: FileFacts | None
    missing: tuple[str, ...] = ()
    error: str = ""
    parts: tuple[str, ...] | None = None

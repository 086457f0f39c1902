"""Version of the file formats, and the error for files of another version.

All formats share one version, which every JSON file states under ``"format_version"``: settings
and splits of runs, checkpoints, prepared data sets, tables of features, saved models, exported
programs and evaluations. A change of any format gives a new version, and files of all
``READABLE_VERSIONS`` remain readable (contributing.md#change-a-file-format).
"""

import os
from collections.abc import Mapping
from pathlib import Path

from physio_mae_jax.data.json_reader import read_json
from physio_mae_jax.errors import DataError
from physio_mae_jax.printable import show
from physio_mae_jax.types import JsonObject

VERSION_KEY = "format_version"
FORMAT_VERSION = "0.2"
READABLE_VERSIONS = (FORMAT_VERSION,)
_OLDEST = "0.1"
# Files that state the version of a run folder.
_DESCRIPTIONS = (
    *("config.json", "settings.json", "index.json"),
    *("evaluation.json", "comparison.json", "subjects.json", "retrieval.json"),
)


class VersionError(DataError):
    """A file has a format version that this program does not read."""


def add_version(content: Mapping[str, object]) -> JsonObject:
    """Add the format version to the content of a file."""
    return {VERSION_KEY: FORMAT_VERSION, **content}


def check_version(content: object, where: str) -> JsonObject:
    """Check the format version of a file and return its content without it.

    Args:
        content: Decoded JSON of the file.
        where: Path of the file, for errors.

    Raises:
        VersionError: the file states no version, or an unsupported one.
    """
    if not isinstance(content, dict) or VERSION_KEY not in content:
        raise unreadable_version(where)
    version = content[VERSION_KEY]
    if version not in READABLE_VERSIONS:
        raise unreadable_version(where, show(version))
    return {name: value for name, value in content.items() if name != VERSION_KEY}


def unreadable_version(where: str, version: str = "") -> VersionError:
    """Return the error for a file of another version; '' means that it states none."""
    found = (
        f"has format version {version}"
        if version
        else (f"states no {VERSION_KEY!r}, so physio_mae_jax {_OLDEST} or another program wrote it")
    )
    return VersionError(
        f"{where} {found}; this program reads version {', '.join(READABLE_VERSIONS)}. Repeat the "
        "command that wrote it in a new folder (prepare: with --overwrite), or use the version of "
        "physio_mae_jax that wrote it."
    )


def reject_other_version(folder: Path) -> None:
    """Reject a folder with results of another version before anything is written to it.

    Raises:
        VersionError: a file has another version; the message names it.
    """
    for name in _DESCRIPTIONS:
        path = folder / name
        if not os.path.lexists(path):
            continue
        try:
            content = read_json(path, "")
        except DataError:
            continue  # the code that needs it reports a damaged file
        check_version(content, str(path))

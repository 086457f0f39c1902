"""Paths that a user gives, checked before anything is made or opened there."""

import os
import re
from pathlib import Path

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.printable import printable

# gs://bucket, and gs:/bucket as pathlib leaves of it, but no drive such as C:/.
_REMOTE = re.compile(r"[A-Za-z][\w@.+-]+:/")
_LONGEST_PART = 255
_LONGEST_PATH = 3_800  # of the 4,095 of Linux, for what is written below it


def local_path(value: object, setting: str) -> Path:
    """Return the absolute path that a setting names, with '~' replaced by the home folder.

    Nothing is opened, and nothing need be there.

    Args:
        value: of the setting, a text or a path.
        setting: as the user writes it, such as '--workdir' or 'config.run'; for errors.

    Raises:
        ConfigError: it is empty, an address of another machine, or no path of this one.
    """
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str) or not text.strip():
        raise ConfigError(f"{setting} is {value!r}; give a path, such as {setting}=runs/first.")
    shown = printable(text)
    if _REMOTE.match(text):
        raise ConfigError(
            f"{setting}={shown} is an address and not a path of this machine; only local and "
            "mounted folders are read and written. Mount it (gcsfuse, s3fs, NFS) and give the "
            "mounted path, or copy it here."
        )
    try:
        os.fsencode(text)
        if "\0" in text:
            raise ValueError("it holds a NUL character")
        path = Path(text).expanduser()
    except (RuntimeError, ValueError) as error:
        reason = "there is no such user" if isinstance(error, RuntimeError) else str(error)
        raise ConfigError(f"{setting}={shown} is no path: {printable(reason)}.") from error
    if len(os.fsencode(path.absolute())) > _LONGEST_PATH:
        raise ConfigError(
            f"{setting}={shown} is no path: it is longer than {_LONGEST_PATH:,} bytes."
        )
    if any(len(os.fsencode(part)) > _LONGEST_PART for part in path.parts):
        raise ConfigError(
            f"{setting}={shown} is no path: a name in it is longer than {_LONGEST_PART} bytes."
        )
    return path.absolute()


def local_folder(value: object, setting: str) -> Path:
    """Return ``local_path`` of a folder that is there, or that can be made.

    Raises:
        ConfigError: as ``local_path``, or a file is in its place.
    """
    path = local_path(value, setting)
    for there in (path, *path.parents):
        if os.path.lexists(there):
            if not there.is_dir():
                raise ConfigError(
                    f"{setting}={printable(value)}: {printable(there, None)} is a file; give "
                    "a folder, or one to be made."
                )
            break
    return path

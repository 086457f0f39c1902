"""User-given paths, validated before anything is created or opened there."""

import os
import re
from pathlib import Path

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.printable import printable

# gs://bucket, and gs:/bucket as pathlib leaves of it, but no drive such as C:/.
_REMOTE = re.compile(r"[A-Za-z][\w@.+-]+:/")
_MAX_NAME_BYTES = 255
_MAX_PATH_BYTES = 3_800  # of Linux's 4,095 bytes; the rest is for names below it


def local_path(value: object, setting: str) -> Path:
    """Return the absolute path of a setting, with '~' replaced by the home folder.

    Nothing is opened, and the path need not exist.

    Args:
        value: Value of the setting, as text or path.
        setting: Name of the setting as the user writes it, such as '--workdir'; for errors.

    Raises:
        ConfigError: The value is empty, a remote address, or no path of this machine.
    """
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str) or not text.strip():
        raise ConfigError(f"{setting} must be a path such as runs/first; got {value!r}.")
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
        raise ConfigError(f"{setting}={shown} is not a path: {printable(reason)}.") from error
    if len(os.fsencode(path.absolute())) > _MAX_PATH_BYTES:
        raise ConfigError(
            f"{setting}={shown} is not a path: it is longer than {_MAX_PATH_BYTES:,} bytes."
        )
    if any(len(os.fsencode(part)) > _MAX_NAME_BYTES for part in path.parts):
        raise ConfigError(
            f"{setting}={shown} is not a path: a name in it is longer than {_MAX_NAME_BYTES} bytes."
        )
    return path.absolute()


def local_folder(value: object, setting: str) -> Path:
    """Return ``local_path`` of a folder that exists or can be created.

    Raises:
        ConfigError: As ``local_path``, or the path is a file.
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

"""A folder as a .tar.gz that is the same for the same files, with its SHA-256."""

import gzip
import hashlib
import tarfile
from pathlib import Path

from physio_mae_jax import atomic_files

_FILE_MODE = 0o644


def write_archive(folder: Path) -> Path:
    """Pack the files of a folder beside it.

    Args:
        folder: Folder of files, without subfolders.

    Returns:
        Path of ``<folder>.tar.gz``. ``<folder>.tar.gz.sha256`` has its hash in the form of
        sha256sum.
    """
    target = folder.with_name(f"{folder.name}.tar.gz")
    # Neither names, dates nor owners of this machine are in the archive.
    with (
        atomic_files.atomic_write(target) as partial,
        partial.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in sorted(folder.iterdir()):
            entry = tarfile.TarInfo(f"{folder.name}/{path.name}")
            entry.size, entry.mode = path.stat().st_size, _FILE_MODE
            with path.open("rb") as file:
                archive.addfile(entry, file)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    beside = target.with_name(f"{target.name}.sha256")
    atomic_files.write_text(beside, f"{digest}  {target.name}\n")
    return target

"""What an export format of a device is: how it is recognized, and its reader."""

import gzip
import zlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

from physio_mae_jax.data.formats.reader import Reader
from physio_mae_jax.data.regular_file import open_regular

# Enough for the longest header, a line of JSON of OpenSignals with many channels.
HEAD_BYTES = 64 * 1024
_ENCODINGS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


class Head(NamedTuple):
    """The beginning of a file.

    Attributes:
        path: Path of the file.
        data: Its first bytes, unpacked where it ends in .gz.
    """

    path: Path
    data: bytes

    def lines(self, count: int) -> list[str]:
        """Return the first lines as text, without their ends; characters of no text are '�'."""
        encoding = next((e for mark, e in _ENCODINGS if self.data.startswith(mark)), "utf-8")
        text = self.data.decode(encoding, "replace")
        return text.replace("\r\n", "\n").replace("\r", "\n").split("\n", count)[:count]


class VendorFormat(NamedTuple):
    """An export format of a device.

    Attributes:
        name: Name of the format, for messages.
        endings: Endings that such files have; others are not opened to look.
        recognize: Whether a file that begins so is of the format.
        reader: How it is probed, loaded and read.
        parts: For a recording of several files in a folder: name of the first file, by the names
            of all files -> names of the others that belong to it; None for single files.
        firsts: Names that the first file of such a recording may have, in order.
    """

    name: str
    endings: tuple[str, ...]
    recognize: Callable[[Head], bool]
    reader: Reader
    parts: Callable[[Path, Collection[str]], frozenset[str]] | None = None
    firsts: tuple[str, ...] = ()


def read_head(path: Path) -> Head:
    """Read the beginning of a file.

    Raises:
        DataError: it is no regular file, or cannot be opened.
    """
    with open_regular(path, "copy it again, or exclude it.") as file:
        if path.suffix.lower() != ".gz":
            return Head(path, file.read(HEAD_BYTES))
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                return Head(path, unpacked.read(HEAD_BYTES))
        except (OSError, EOFError, zlib.error):
            return Head(path, b"")

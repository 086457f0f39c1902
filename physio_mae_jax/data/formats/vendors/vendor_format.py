"""Definition of an export format: how it is recognized, and its reader."""

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
        data: Its first bytes, decompressed if its name ends in .gz.
    """

    path: Path
    data: bytes

    def lines(self, count: int) -> list[str]:
        """Return the first lines as text, without their ends; undecodable bytes become '�'."""
        encoding = next((e for mark, e in _ENCODINGS if self.data.startswith(mark)), "utf-8")
        text = self.data.decode(encoding, "replace")
        return text.replace("\r\n", "\n").replace("\r", "\n").split("\n", count)[:count]


class VendorFormat(NamedTuple):
    """An export format of a device.

    Attributes:
        name: Name of the format, for messages.
        endings: Endings of such files; files with other endings are not opened.
        recognize: Returns whether a file with this beginning has the format.
        reader: Reader of such files.
        parts: For recordings of several files in a folder: (path of the first file, names of all
            files) -> names of the other files of the recording; None for single files.
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
        DataError: it is not a regular file, or cannot be opened.
    """
    with open_regular(path, "copy it again, or exclude it.") as file:
        if path.suffix.lower() != ".gz":
            return Head(path, file.read(HEAD_BYTES))
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                return Head(path, unpacked.read(HEAD_BYTES))
        except (OSError, EOFError, zlib.error):
            return Head(path, b"")

"""The text of a table, opened so that no file is taken for more than it holds.

Lines without end, bytes that are no text and archives that expand without bound are rejected as
they are met; the library that parses the table would keep the first, stop at the second, and go on
with the third.
"""

import contextlib
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from physio_mae_jax.data.formats.file_facts import UnreadableError, naming

# Raised on text that cannot be decoded, broken archives, and what is no file.
TEXT_ERRORS = (OSError, ValueError, EOFError, zlib.error)
LONGEST_LINE = 1_000_000
# Numbers of six digits that repeat shrink to a hundredth; zeros to a thousandth.
_MAX_EXPANSION = 200
_FREE_BYTES = 2**26
_EXPECTED = "a table of numbers with a line of column names"
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


class CheckedText:
    """A text file that ``pandas`` reads, with bounds on its lines and on its size.

    Args:
        file: Open text file.
        path: Path of the file, for messages.
        max_chars: Maximum number of characters it may hold.
    """

    def __init__(self, file: IO[str], path: Path, max_chars: float) -> None:
        """Take over an open text; nothing is read yet."""
        self._file, self._path, self._left, self._line = file, path, max_chars, 0

    def read(self, size: int = -1) -> str:
        """Read characters."""
        return self._checked(self._file.read(size))

    def readline(self) -> str:
        """Read a line with its end; '' at the end of the file."""
        return self._checked(self._file.readline(LONGEST_LINE + 2))

    def __iter__(self) -> Iterator[str]:
        """Return the remaining lines."""
        return iter(self.readline, "")

    def _checked(self, text: str) -> str:
        if "\0" in text:
            raise UnreadableError(
                f"{self._path} has NUL bytes (as after a power loss) or is not text; "
                "cut them off, or write or copy the file again."
            )
        last = max(text.rfind("\n"), text.rfind("\r"))
        # Between two ends that were read together a line is shorter than the piece.
        self._line = len(text) - last - 1 + (self._line if last < 0 else 0)
        if self._line > LONGEST_LINE:
            raise UnreadableError(
                f"{self._path} has a line of more than {LONGEST_LINE} characters; a line for each "
                "sample is expected, with a column for each channel."
            )
        self._left -= len(text)
        if self._left < 0:
            raise UnreadableError(
                f"{self._path} expands to more than {_MAX_EXPANSION} times its size; unpack it "
                "first if it is to be read."
            )
        return text


@contextlib.contextmanager
def open_text(path: Path) -> Iterator[tuple[CheckedText, str]]:
    """Open a table as text, packed by gzip or not.

    Yields:
        The text from its start, and its encoding: UTF-8 or UTF-16 by their marks, else UTF-8, or
        Latin-1 where its beginning is text in that alone.

    Raises:
        UnreadableError: the file cannot be opened or decoded, in the block too.
    """
    with contextlib.ExitStack() as stack:
        with naming(path, _EXPECTED, TEXT_ERRORS):
            packed = path.suffix.lower() == ".gz"
            file: IO[bytes] = path.open("rb")
            stack.enter_context(file)
            most = float("inf")
            if packed:
                most = _FREE_BYTES + _MAX_EXPANSION * path.stat().st_size
                unpacked = stack.enter_context(gzip.GzipFile(fileobj=file))
                file = stack.enter_context(io.BufferedReader(unpacked))
            encoding = _encoding(file)
            text = io.TextIOWrapper(file, encoding=encoding, newline="")
            stack.callback(text.detach)
        with naming(path, _EXPECTED, TEXT_ERRORS):
            yield CheckedText(text, path, most), encoding


def _encoding(file: IO[bytes]) -> str:
    """Detect the encoding from the beginning of a file, which stays at its start."""
    head = file.peek(4096)[:4096] if isinstance(file, io.BufferedReader) else b""
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # A letter may be cut at the end of the piece.
        if error.start < len(head) - 4 and _is_latin(head):
            return "latin-1"
    return "utf-8"


def _is_latin(head: bytes) -> bool:
    """Return whether text is Latin-1: few non-ASCII letters, as in 'µV', no control characters."""
    high = [byte for byte in head if byte >= 0x80]
    return len(high) <= max(2, len(head) // 20) and all(
        chr(byte).isalpha() or chr(byte) in "µ°²³±" for byte in high
    )

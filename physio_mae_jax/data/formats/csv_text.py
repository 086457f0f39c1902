"""Opening text tables with limits on line length, encoding and expansion.

Unbounded lines, binary content and archives that expand without bound are rejected while reading;
pandas would keep the first in memory, fail on the second, and expand the third.
"""

import contextlib
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from physio_mae_jax.data.formats.file_facts import UnreadableError, name_file_in_errors

# Raised on text that cannot be decoded, broken archives, and paths that are not files.
TEXT_ERRORS = (OSError, ValueError, EOFError, zlib.error)
LONGEST_LINE = 1_000_000
# Repeated six-digit numbers compress to 1/100 of their size, zeros to 1/1000.
_MAX_EXPANSION = 200
_FREE_BYTES = 2**26
_EXPECTED = "a table of numbers with a line of column names"
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


class CheckedText:
    """A text file that ``pandas`` reads, with bounds on its lines and on its size.

    Args:
        file: Open text file.
        path: Path of the file, for messages.
        max_chars: Maximum number of characters of the file.
    """

    def __init__(self, file: IO[str], path: Path, max_chars: float) -> None:
        """Wrap an open text file; nothing is read yet."""
        self._file, self._path, self._left, self._line = file, path, max_chars, 0
        self._ahead = ""

    def read(self, size: int = -1) -> str:
        """Read characters, at most ``size`` or a line that was peeked."""
        return self._take_ahead() or self._check(self._file.read(size))

    def readline(self) -> str:
        """Read a line with its end; '' at the end of the file."""
        return self._take_ahead() or self._check(self._file.readline(LONGEST_LINE + 2))

    def peek_line(self) -> str:
        """Return the next line with its end without consuming it; '' at the end of the file."""
        self._ahead = self.readline()
        return self._ahead

    def _take_ahead(self) -> str:
        text, self._ahead = self._ahead, ""
        return text

    def __iter__(self) -> Iterator[str]:
        """Return the remaining lines."""
        return iter(self.readline, "")

    def _check(self, text: str) -> str:
        if "\0" in text:
            raise UnreadableError(
                f"{self._path} has NUL bytes (as after a power loss) or is not text; "
                "remove them, or write or copy the file again."
            )
        last = max(text.rfind("\n"), text.rfind("\r"))
        # Lines that end within this chunk are shorter than the chunk.
        self._line = len(text) - last - 1 + (self._line if last < 0 else 0)
        if self._line > LONGEST_LINE:
            raise UnreadableError(
                f"{self._path} has a line of more than {LONGEST_LINE} characters; a line for each "
                "sample is expected, with a column for each channel."
            )
        self._left -= len(text)
        if self._left < 0:
            raise UnreadableError(
                f"{self._path} expands to more than {_MAX_EXPANSION} times its size; decompress it "
                "first if it is to be read."
            )
        return text


@contextlib.contextmanager
def open_text(path: Path) -> Iterator[tuple[CheckedText, str]]:
    """Open a table as text, gzip-compressed or not.

    Yields:
        The text, and its encoding: UTF-8 or UTF-16 by a byte order mark, else UTF-8, or Latin-1 if
        only that decodes the beginning of the file.

    Raises:
        UnreadableError: the file cannot be opened or decoded, also inside the block.
    """
    with contextlib.ExitStack() as stack:
        with name_file_in_errors(path, _EXPECTED, TEXT_ERRORS):
            is_gzip = path.suffix.lower() == ".gz"
            file: IO[bytes] = path.open("rb")
            stack.enter_context(file)
            max_chars = float("inf")
            if is_gzip:
                max_chars = _FREE_BYTES + _MAX_EXPANSION * path.stat().st_size
                decompressed = stack.enter_context(gzip.GzipFile(fileobj=file))
                file = stack.enter_context(io.BufferedReader(decompressed))
            encoding = _encoding(file)
            text = io.TextIOWrapper(file, encoding=encoding, newline="")
            stack.callback(text.detach)
        with name_file_in_errors(path, _EXPECTED, TEXT_ERRORS):
            yield CheckedText(text, path, max_chars), encoding


def _encoding(file: IO[bytes]) -> str:
    """Detect the encoding from the beginning of a file without moving its position."""
    head = file.peek(4096)[:4096] if isinstance(file, io.BufferedReader) else b""
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # A multi-byte character may be truncated at the end of the chunk.
        if error.start < len(head) - 4 and _is_latin(head):
            return "latin-1"
    return "utf-8"


def _is_latin(head: bytes) -> bool:
    """Return whether text is Latin-1: few non-ASCII letters, as in 'µV', no control characters."""
    high = [byte for byte in head if byte >= 0x80]
    return len(high) <= max(2, len(head) // 20) and all(
        chr(byte).isalpha() or chr(byte) in "µ°²³±" for byte in high
    )

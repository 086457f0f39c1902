"""Names and values from data, made safe to print: on a terminal, in a log, a report or a picture.

A name keeps its letters, of whatever script. Characters that act on the display are
escaped: escape sequences of terminals, line breaks, marks that reverse the order of letters,
halves of surrogate pairs.
"""

import logging
import reprlib
import unicodedata

LONGEST_NAME = 120
_LONGEST_VALUE = 80
# Control, format, surrogate, line and paragraph separators: escaped as \x1b, \u202e.
_ACTING = ("Cc", "Cf", "Cs", "Zl", "Zp")
# Format characters needed for spelling: Persian and Indic scripts join letters with them.
_SPELLING = "\u200c\u200d"


def printable(text: object, longest: int | None = LONGEST_NAME) -> str:
    r"""Return a name on one line, with terminal and text control characters escaped.

    Args:
        text: Any object, formatted with ``str``.
        longest: Maximum number of letters, the last of which becomes '…'; None for all.
    """
    shown = str(text)
    if longest is not None and len(shown) > longest:
        shown = shown[: longest - 1] + "…"
    if shown.isprintable():
        return shown
    return "".join(_escaped(letter) for letter in shown)


def show(value: object) -> str:
    """Format a value of any type and size for a message, in at most 80 characters."""
    text = _SHORT.repr(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def printable_lines(text: object, indent: str = "  ") -> str:
    """Return text of several lines with terminal control characters escaped.

    Lines after the first are indented, so that a line break within a name never begins what looks
    like a message of its own.
    """
    first, *more = str(text).split("\n")
    lines = [first, *(line if line.startswith((indent, "|")) else indent + line for line in more)]
    return "\n".join("\t".join(printable(p, None) for p in line.split("\t")) for line in lines)


class _ShortRepr(reprlib.Repr):
    """``repr`` that takes neither long nor fails."""

    def repr_instance(self, x: object, level: int) -> str:
        """Return ``repr(x)``; of a class that has none, its name."""
        try:
            return repr(x)
        except Exception:  # ``__repr__`` of an arbitrary class may raise anything
            return f"a {type(x).__name__}"


_SHORT = _ShortRepr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = _LONGEST_VALUE


class Lines(str):
    """Text that keeps its line breaks in a log."""


class PrintableFormatter(logging.Formatter):
    """Formats log records so that names in them cannot control the terminal or fake a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        if isinstance(record.args, tuple):
            record = logging.makeLogRecord(vars(record))
            record.args = tuple(
                printable(arg, None) if type(arg) is str else arg for arg in record.args or ()
            )
        return printable_lines(super().format(record))


def _escaped(letter: str) -> str:
    if letter.isprintable() or letter in _SPELLING:
        return letter
    if unicodedata.category(letter) not in _ACTING:
        return letter
    return letter.encode("unicode_escape").decode("ascii")

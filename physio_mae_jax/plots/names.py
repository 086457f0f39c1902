"""Format names from data for display in Matplotlib: escaped and truncated."""

import textwrap

from physio_mae_jax.printable import LONGEST_NAME, printable


def format_name(name: object, width: int | None = None, longest: int = LONGEST_NAME) -> str:
    """Return a name for display: formulas escaped, truncated, and wrapped if a width is given.

    Args:
        name: Channel, class, subject or recording; line breaks are kept if ``width`` is set.
        width: Maximum characters per line; None for one line.
        longest: Maximum characters in total.
    """
    if width is None:
        return _plain(printable(name, longest))
    lines = [printable(line, None) for line in str(name)[:longest].split("\n")]
    if len(str(name)) > longest:
        lines[-1] = lines[-1][:-1] + "…"
    return _plain("\n".join(textwrap.fill(line, width) for line in lines))


def _plain(text: str) -> str:
    """Escape characters that start a formula, on which Matplotlib fails if it is invalid."""
    return text.replace("$", r"\$")

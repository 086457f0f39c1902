"""Names of data as Matplotlib shows them as they are."""

import textwrap

from physio_mae_jax.printable import LONGEST_NAME, printable


def shown(name: object, width: int | None = None, longest: int = LONGEST_NAME) -> str:
    """Return a name for a picture: without formulas, cut, and wrapped where a width is given.

    Args:
        name: of a channel, class, subject or recording; line breaks stay where there is a width.
        width: letters of a line.
        longest: letters in all.
    """
    if width is None:
        return _plain(printable(name, longest))
    lines = [printable(line, None) for line in str(name)[:longest].split("\n")]
    if len(str(name)) > longest:
        lines[-1] = lines[-1][:-1] + "…"
    return _plain("\n".join(textwrap.fill(line, width) for line in lines))


def _plain(text: str) -> str:
    """Escape what would begin a formula, which Matplotlib stops at if it is none."""
    return text.replace("$", r"\$")

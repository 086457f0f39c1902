"""Listing what cannot be used, all of it, in a message of bounded length."""

from collections.abc import Iterable

from physio_mae_jax.printable import Lines, printable

_WORDED = 50
_NAMED = 1000
_LONGEST_LINE = 600


def list_problems(problems: Iterable[tuple[str, str]]) -> Lines:
    """Word (name, problem) pairs on a line each; of very many the last by name only."""
    pairs = list(problems)
    lines = [f"  {_cut(printable(problem, None))}" for _, problem in pairs[:_WORDED]]
    rest = [printable(name) for name, _ in pairs[_WORDED:]]
    if rest:
        more = ", ..." if len(rest) > _NAMED else ""
        lines.append(f"  ... and {len(rest)} more: {', '.join(rest[:_NAMED])}{more}")
    return Lines("\n".join(lines))


def _cut(text: str) -> str:
    """Shorten a problem where others stand beside it, so that none hides the rest."""
    return text if len(text) <= _LONGEST_LINE else text[:_LONGEST_LINE] + "..."

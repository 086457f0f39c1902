"""Formatting lists of problems in a message of bounded length."""

from collections.abc import Iterable

from physio_mae_jax.printable import Lines, printable

_MAX_DETAILED = 50
_MAX_NAMED = 1000
_MAX_LINE = 600


def list_problems(problems: Iterable[tuple[str, str]]) -> Lines:
    """Format (name, problem) pairs, one per line; beyond a limit only names are listed."""
    pairs = list(problems)
    lines = [f"  {_truncate(printable(problem, None))}" for _, problem in pairs[:_MAX_DETAILED]]
    rest = [printable(name) for name, _ in pairs[_MAX_DETAILED:]]
    if rest:
        more = ", ..." if len(rest) > _MAX_NAMED else ""
        lines.append(f"  ... and {len(rest)} more: {', '.join(rest[:_MAX_NAMED])}{more}")
    return Lines("\n".join(lines))


def _truncate(text: str) -> str:
    """Truncate a long problem."""
    return text if len(text) <= _MAX_LINE else text[:_MAX_LINE] + "..."

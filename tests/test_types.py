"""Values have types; ``Any`` is rare."""

import tokenize
from pathlib import Path

from tests.paths import REPOSITORY

MAX_LINES = 60


def lines_with_any(path: Path) -> set[int]:
    """Return the numbers of the lines whose code names ``Any``."""
    with tokenize.open(path) as file:
        tokens = tokenize.generate_tokens(file.readline)
        return {token.start[0] for token in tokens if token[:2] == (tokenize.NAME, "Any")}


def test_any_is_rare():
    paths = [
        path for name in ("physio_mae_jax", "configs") for path in (REPOSITORY / name).rglob("*.py")
    ]
    found = [f"{path.relative_to(REPOSITORY)}:{n}" for path in paths for n in lines_with_any(path)]
    assert len(found) <= MAX_LINES, (
        f"{len(found)} lines name Any, {MAX_LINES} may: take a type of physio_mae_jax/types.py, "
        "or object where a value is validated as it enters. They are "
        f"{', '.join(sorted(found))}."
    )

"""One standard term for each thing, in code, configs, launch scripts, tests and guides."""

import re
from pathlib import Path

import pytest

from tests.language import BANNED
from tests.paths import REPOSITORY

FOLDERS = ("physio_mae_jax", "configs", "launch", "tests")
ENDINGS = (".py", ".md", ".sh", ".yaml", ".sbatch")
# They name what is banned.
EXEMPT = {REPOSITORY / "tests" / "language.py", Path(__file__)}


def texts():
    """Yield each file's path and its lines."""
    files = [
        REPOSITORY / "README.md",
        *(p for name in FOLDERS for p in (REPOSITORY / name).rglob("*")),
    ]
    for path in sorted(set(files) - EXEMPT):
        if path.suffix in ENDINGS and "zh-CN" not in path.name:
            yield path.relative_to(REPOSITORY), path.read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def lines():
    return [
        (f"{path}:{number}", line)
        for path, content in texts()
        for number, line in enumerate(content, start=1)
    ]


@pytest.mark.parametrize("pattern", BANNED)
def test_replaced_terms_stay_replaced(pattern, lines):
    found = [f"{where}: {line.strip()}" for where, line in lines if re.search(pattern, line)]
    shown = "\n".join(found[:20])
    assert not found, f"write {BANNED[pattern]} instead, in {len(found)} lines:\n{shown}"


@pytest.mark.parametrize(
    "line", ["config.task = 1", "how people are told apart", "the run is refused", "a Job: Judge"]
)
def test_a_replaced_term_is_found(line):
    assert any(re.search(pattern, line) for pattern in BANNED)

"""The commands in the docstrings of configs are whole: each can be pasted into a shell."""

import re
import shlex

import pytest

from tests.paths import REPOSITORY

CONFIGS = sorted(
    path for path in (REPOSITORY / "configs").glob("*.py") if "def get_config" in path.read_text()
)


def commands(text):
    """Return the indented blocks that start with a program, as lines of the source."""
    blocks = re.findall(r"^    (?:python|bash) .*(?:\n    .*)*", text, re.MULTILINE)
    starts = re.compile(r"^    (?=(?:python|bash) )", re.MULTILINE)
    return [part.splitlines() for block in blocks for part in starts.split(block) if part.strip()]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_commands_of_a_config_can_be_pasted(path):
    docstring = path.read_text(encoding="utf-8").split('"""')[1]
    found = commands(docstring)
    assert found
    for lines in found:
        *continued, last = lines
        assert all(re.search(r"\S \\$", line) for line in continued), lines
        words = shlex.split(" ".join(line.rstrip("\\") for line in continued) + " " + last)
        assert any(word.startswith(f"--config=configs/{path.name}") for word in words), lines
        assert any(word.startswith("--workdir=") for word in words), lines

"""Files and functions stay short: 350 and 60 lines; a longer one is to be divided."""

import ast

import pytest

from tests.paths import REPOSITORY

MAX_FILE_LINES, MAX_FUNCTION_LINES = 350, 60


@pytest.mark.parametrize("folder", ["physio_mae_jax", "configs", "launch", "tests"])
def test_files_and_functions_are_short(folder):
    found = []
    for path in sorted((REPOSITORY / folder).rglob("*.py")):
        text, name = path.read_text(encoding="utf-8"), path.relative_to(REPOSITORY)
        if len(text.splitlines()) > MAX_FILE_LINES:
            found.append(f"{name} has {len(text.splitlines())} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    found.append(f"{name}: {node.name} has {length} lines")
    assert not found

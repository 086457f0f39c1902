"""The docstring of every package lists all of its modules, so that it is a map of the package."""

import ast

import pytest

from tests.paths import PACKAGE

# Commands are listed by ``physio_mae_jax.main``, so that a new one is one module and one config.
LISTED_ELSEWHERE = {PACKAGE, PACKAGE / "commands"}
FOLDERS = sorted({path.parent for path in PACKAGE.rglob("__init__.py")} - LISTED_ELSEWHERE)


def modules_of(folder):
    """Return the modules of a package, and its subpackages with a slash."""
    subpackages = [f"{p.parent.name}/" for p in folder.glob("*/__init__.py")]
    return {p.stem for p in folder.glob("*.py")} - {"__init__"} | set(subpackages)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.relative_to(PACKAGE).as_posix())
def test_a_package_lists_its_modules(folder):
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    assert text, f"{folder.name} has no docstring"
    listed = [line.split()[0] for line in text.splitlines() if line.startswith("    ")]
    listed = [name for name in listed if name in modules_of(folder) or name.isidentifier()]
    missing = modules_of(folder) - set(listed)
    assert not missing, f"add {sorted(missing)} to {folder.name}/__init__.py"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.relative_to(PACKAGE).as_posix())
def test_a_package_lists_nothing_else(folder):
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    indent = "    "
    rows = [line[4:] for line in text.splitlines() if line.startswith(indent) and line[4] != " "]
    unknown = {row.split()[0] for row in rows} - modules_of(folder)
    assert not unknown, f"{folder.name}/__init__.py lists {sorted(unknown)}, which do not exist"

"""Scripts of the page of ``inference.edge.web``, run by Node.js."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NoReturn

import pytest

from physio_mae_jax.inference.edge.web.page_files import static_files

_SECONDS = 60


def run_javascript(folder: Path, code: str, given: Any = None) -> Any:
    """Run a module that may import those of the page; skips without Node.js.

    Args:
        folder: Empty folder for the modules.
        code: Module that calls ``answer(value)`` once. ``given`` is defined; null in JSON is NaN in
            an array that ``numbers`` converts.
        given: Value of JSON.

    Returns:
        The answer; its NaN are None.
    """
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js, which is not installed")
    for name, path in static_files().items():
        if path.suffix == ".js" and name != "sw.js":
            shutil.copy(path, folder / name)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "given.json").write_text(json.dumps(given))
    start = (
        'import { readFileSync } from "node:fs";\n'
        'const given = JSON.parse(readFileSync("given.json", "utf8"));\n'
        "const numbers = (row) => Float64Array.from(row, (value) => value ?? NaN);\n"
        "const answer = (value) => process.stdout.write(JSON.stringify(value, (_, one) =>\n"
        "  ArrayBuffer.isView(one) ? Array.from(one, Number) : one));\n"
    )
    (folder / "main.js").write_text(start + code)
    done = subprocess.run(
        [node, "main.js"], cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def skip_or_fail(reason: str) -> NoReturn:
    """Skip a test of the browser; fail instead where ``launch/test.sh --browser`` runs it."""
    if os.environ.get("PHYSIO_MAE_BROWSER"):
        pytest.fail(reason)
    pytest.skip(f"{reason}; run bash launch/test.sh --browser")

"""Commands of ``physio_mae_jax.main``: one module per command, which builds and runs it.

A module with a function ``run`` is the command of the same name; the first line of its docstring is
its summary, and a config in ``configs/`` names it. It has

* ``read(config) -> settings``: parses a config into dataclasses; an invalid setting raises,
* ``run(settings, workdir, *, strict)``: builds and runs it,
* ``lock_arguments(settings)``, if its processes share a work folder: arguments of
  ``training.work_folder.lock_workdir``.

Commands are listed without importing them, since that takes seconds.
"""

import ast
import difflib
import importlib
from pathlib import Path
from types import ModuleType

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.types import JsonObject, Settings

_FOLDER = Path(__file__).parent


def command_summaries() -> dict[str, str]:
    """Return the summary of every command by its name, ordered by name."""
    summaries = {}
    for path in sorted(_FOLDER.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        if "run" in functions:
            summaries[path.stem] = (ast.get_docstring(tree) or "").splitlines()[0]
    return summaries


def load_command(config: Settings) -> ModuleType:
    """Import the module of the command that a config names.

    Raises:
        ConfigError: The config does not name a command, or names an unknown one.
    """
    name, known = config.get("command"), list(command_summaries())
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigError(
            f"config.command is {name!r}; it must be one of {', '.join(known)}, set by the config "
            f"file.{hint}"
        )
    return importlib.import_module(f"physio_mae_jax.commands.{name}")


def lock_arguments(command: ModuleType, settings: object) -> JsonObject:
    """Return how the processes of a command share its work folder; {} if it is not shared."""
    return dict(command.lock_arguments(settings)) if hasattr(command, "lock_arguments") else {}

"""README and guides as data: their code blocks, headings, tables, links and shell commands."""

import dataclasses
import importlib
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_flags

from tests.paths import PACKAGE, REPOSITORY

GUIDES = PACKAGE / "guides"
PAGES = sorted([*REPOSITORY.glob("README*.md"), *GUIDES.glob("*.md")])
CHINESE = ".zh-CN.md"

_BLOCK = re.compile(r"^```(\w*)(?: ([^\n]*))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE_SPAN = re.compile(r"`([^`\n]+)`")
_DEFINED = re.compile(r"(?:DEFINE_\w+|add_argument)\(\s*\"(?:--)?(\w+)\"")
# Programs of the shell blocks that are not ours and have no flags to check.
_FOREIGN = ("export", "kubectl", "pip", "kill")
_SWITCHES = ("--download", "--draft_manifest", "--list", "--overwrite", "--strict")
_TESTS = ["launch/test.sh", "--browser"]
# Launch scripts that hand their arguments on to physio_mae_jax.main.
_RELEASE = "launch/release.sh"  # the same, after the name of a model
_LAUNCHERS = ("launch/pretrain.sh", "launch/slurm.sbatch", "launch/tpu_slice.sh")


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block of code.

    Attributes:
        language: First word after the fence, such as 'python'; '' without one.
        file: Second word after the fence: path of the example file that the block shows, or ''.
        code: Text between the fences.
        line: Line number of the opening fence.
    """

    language: str
    file: str
    code: str
    line: int


def name_of(page: Path) -> str:
    """Return the path of a page within the repository, for test ids."""
    return page.relative_to(REPOSITORY).as_posix()


def blocks_of(page: Path) -> list[Block]:
    """Return the code blocks of a page in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(match[1], match[2] or "", match[3], text.count("\n", 0, match.start()) + 1)
        for match in _BLOCK.finditer(text)
    ]


def prose_of(page: Path) -> str:
    """Return the text of a page without its code blocks."""
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


def headings_of(page: Path) -> list[tuple[int, str]]:
    """Return (level, text) of each heading."""
    found = re.findall(r"^(#+) (.+)$", prose_of(page), flags=re.MULTILINE)
    return [(len(marks), text.strip()) for marks, text in found]


def anchors_of(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    return {
        re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for _, text in headings_of(page)
    }


def tables_of(page: Path) -> list[list[list[str]]]:
    """Return the cells of each table, row by row, the rule under the header excluded."""
    tables: list[list[list[str]]] = []
    previous = ""
    for line in prose_of(page).splitlines():
        if line.startswith("|"):
            if not previous.startswith("|"):
                tables.append([])
            if not re.fullmatch(r"[|\s:-]*-[|\s:-]*", line):
                cells = re.split(r"(?<!\\)\|", line.strip())[1:-1]
                tables[-1].append([cell.strip() for cell in cells])
        previous = line
    return tables


def links_of(page: Path) -> list[str]:
    """Return the targets of all links and pictures."""
    return _LINK.findall(prose_of(page))


def code_spans(text: str) -> list[str]:
    """Return the inline code of a text."""
    return [span.replace("\\|", "|") for span in _CODE_SPAN.findall(text)]


def commands_of(code: str) -> Iterator[list[str]]:
    """Return the commands of a shell block as lists of words, without comments."""
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):  # variables of one command
            words = words[1:]
        if words:
            yield words


def check_shell(block: Block) -> None:
    """Check the syntax of a shell block, and the flags, configs and settings of its commands."""
    subprocess.run(["bash", "-n"], input=block.code, text=True, check=True, capture_output=True)
    for words in commands_of(block.code):
        check_command(words)


def check_command(words: list[str]) -> None:
    """Check that a command names a module or script of ours, and flags that it has."""
    program, arguments = words[0], words[1:]
    if program in _FOREIGN or program.endswith("/pip"):
        return
    if program.endswith("python") and arguments[0] == "-m":
        module, arguments = arguments[1], arguments[2:]
        if module.startswith(("physio_mae_jax", "tests")):
            _check_flags(_source_of(module), arguments)
        else:
            assert module in ("pip", "pytest", "ruff", "mypy"), words
        return
    script = next((word for word in words if word.startswith("launch/")), None)
    assert script is not None, f"unknown program: {shlex.join(words)}"
    assert (REPOSITORY / script).is_file(), script
    arguments = words[words.index(script) + 1 :]
    if script == _RELEASE:
        assert arguments[0][0] != "-", f"no name of a model: {shlex.join(words)}"
        arguments = arguments[1:]
    if script in (*_LAUNCHERS, _RELEASE):
        _check_flags(_source_of("physio_mae_jax.main"), arguments)
    elif "--" in arguments:
        cut = arguments.index("--")
        _check_flags(REPOSITORY / script, arguments[:cut])
        _check_flags(_source_of("physio_mae_jax.main"), arguments[cut + 1 :])
    else:
        assert not arguments or words[-2:] == _TESTS, words


def check_config(text: str) -> None:
    """Check a ``--config=configs/….py:…`` with the settings after it, as main would."""
    _check_flags(_source_of("physio_mae_jax.main"), shlex.split(text))


def _source_of(module: str) -> Path:
    path = REPOSITORY / (module.replace(".", "/") + ".py")
    assert path.is_file(), module
    return path


def config_of(words: list[str]) -> tuple[ConfigDict, Path]:
    """Return the config and the work folder of a command of ``physio_mae_jax.main``."""
    source = _source_of("physio_mae_jax.main")
    values = _check_flags(source, words[words.index("physio_mae_jax.main") + 1 :])
    return values["config"].value, Path(values["workdir"].value)


def _check_flags(source: Path, arguments: list[str]) -> flags.FlagValues:
    """Parse arguments by the flags that a source file defines, a config and its settings too."""
    values = flags.FlagValues()
    for name in set(_DEFINED.findall(source.read_text(encoding="utf-8"))) - {"config", "help"}:
        flags.DEFINE_string(name, None, "", flag_values=values)
    config = next((word for word in arguments if word.startswith("--config=")), "")
    given = [f"{word}=true" if word in _SWITCHES else word for word in arguments if word != config]
    if config and source.name in ("main.py", "benchmark.py"):
        file, _, argument = config.removeprefix("--config=").partition(":")
        assert (REPOSITORY / file).is_file(), file
        module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
        chosen = module.get_config(argument) if argument else module.get_config()
        config_flags.DEFINE_config_dict(
            "config", chosen, flag_values=values, sys_argv=["program", *given]
        )
    values(["program", *given])
    return values

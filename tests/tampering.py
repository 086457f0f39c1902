"""Every way to change one value of a JSON file, and whether a reader stands it."""

import copy
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from physio_mae_jax.data.sealed_json import SEAL, add_seal
from physio_mae_jax.errors import UserError

OTHERS: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2**63, 10**30, 0.5, -1e300, "", "x", "../x", "1"),
    *([], [[]], {}, {"a": 1}, [None], ["x"], [-1]),
)


def changes(content: Any, step: int = 1) -> Iterator[tuple[str, Any]]:
    """Yield (what was changed, changed content) for each value at any depth, every ``step``-th."""
    for count, (path, other) in enumerate(_single_changes(content)):
        if count % step == 0:
            yield "/".join(map(str, path)) + f" = {other!r}"[:60], _changed(content, path, other)


_REMOVED = object()


def _single_changes(content: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    for path, value in _walk(content, ()):
        yield path, _REMOVED
        for other in OTHERS:
            if json.dumps(other) != json.dumps(value):
                yield path, other
        if isinstance(value, str):
            yield path, value + "x"
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield path, value + 1
            yield path, str(value)
        elif isinstance(value, list) and value:
            yield path, value[:-1]
            yield path, [*value, value[-1]]
        elif isinstance(value, dict):
            yield path, value | {"unknown": 1}


def _walk(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if not isinstance(value, dict | list):
        return
    children = value.items() if isinstance(value, dict) else enumerate(value)
    for name, child in list(children)[:12]:
        if name != SEAL:
            yield (*path, name), child
            yield from _walk(child, (*path, name))


def _changed(content: Any, path: tuple[Any, ...], other: Any) -> Any:
    whole = copy.deepcopy(content)
    position = whole
    for name in path[:-1]:
        position = position[name]
    if other is _REMOVED:
        del position[path[-1]]
    else:
        position[path[-1]] = other
    return whole


def resealed(content: dict[str, Any]) -> dict[str, Any]:
    """Return content with hashes that fit it, as somebody would make them on purpose."""
    return add_seal({name: value for name, value in content.items() if name != SEAL})


def rewrite_index(folder: Path, text: str) -> None:
    """Change the index of a prepared data set, and the hashes of it in its model_spec."""
    (folder / "recordings.jsonl").write_text(text, encoding="utf-8")
    model_spec = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    model_spec["index_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / "dataset.json").write_text(json.dumps(resealed(model_spec)), encoding="utf-8")


def evaluate_and_report(
    path: Path, text: str, read: Callable[[], Any], name: str = ""
) -> tuple[str, BaseException | None]:
    """Say what reading does where a file has another text: 'accepted', 'named' or 'raw'."""
    before = path.read_bytes()
    path.write_text(text, encoding="utf-8")
    try:
        read()
        return "accepted", None
    except UserError as error:
        return ("named" if (name or path.name) in str(error) else "unnamed"), error
    except Exception as error:
        return "raw", error
    finally:
        path.write_bytes(before)


def tally(
    path: Path, read: Callable[[], Any], *, seal: bool, step: int = 1
) -> dict[str, list[str]]:
    """Change each value of a JSON file in turn; return what was done, by what reading made of it.

    Args:
        path: of the file.
        read: what reads it.
        seal: whether its hashes are made to fit the changed content.
        step: try every ``step``-th change.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    found: dict[str, list[str]] = {}
    for what, changed in changes(content, step):
        fitted = resealed(changed) if seal and isinstance(changed, dict) else changed
        verdict, error = evaluate_and_report(path, json.dumps(fitted), read)
        found.setdefault(verdict, []).append(f"{what}: {type(error).__name__}: {error}"[:300])
    return found


def _to_pipe(path: Path) -> None:
    os.mkfifo(path)


def _to_endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _to_nothing(path: Path) -> None:
    path.symlink_to(path.with_name("gone"))


# Changes that replace a file by something that is not a file.
MAKE_NO_FILE: tuple[Callable[[Path], None], ...] = (_to_pipe, _to_endless, _to_nothing, Path.mkdir)

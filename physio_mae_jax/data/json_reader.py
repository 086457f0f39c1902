"""Reading untrusted JSON with size limits and errors that name the file.

Rejects paths that are not regular files, oversized or deeply nested content, text that is not
UTF-8, numbers that are not finite or have hundreds of digits, duplicate keys, and unpaired
surrogates. ``data.json_types`` then checks the values.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

from physio_mae_jax.data.regular_file import open_regular, read_regular, unreadable
from physio_mae_jax.errors import DataError
from physio_mae_jax.printable import show

MAX_BYTES = 64 << 20
# A line of a JSON Lines file; the block hashes of a day of 12 channels take 2 MB.
MAX_LINE_BYTES = 64 << 20
MAX_DEPTH = 50
_MAX_DIGITS = 100
_LONG_NUMBER = re.compile(rf"(?<!\d)\d{{{_MAX_DIGITS}}}")
_SURROGATE = re.compile(r"\\u[dD][89abABcdefCDEF]")


def read_json(path: Path, hint: str, max_bytes: int = MAX_BYTES) -> object:
    """Read a JSON file.

    Args:
        path: Path of the file.
        hint: Clause that ends every error, such as 'copy the folder again.'
        max_bytes: Maximum file size in bytes.

    Raises:
        DataError: the file is rejected, see the module's docstring.
    """
    return parse_json(read_regular(path, hint, max_bytes), str(path), hint)


def read_json_lines(
    path: Path, hint: str, hashed: "hashlib._Hash | None" = None
) -> Iterator[tuple[str, object]]:
    """Yield (name in errors, content) of each line of a JSON Lines file.

    Args:
        path, hint: As in ``read_json``.
        hashed: Hash object that is updated with every line.

    Raises:
        DataError: a line is rejected, see the module's docstring; the message names it.
    """
    with open_regular(path, hint) as file:
        number = 0
        while True:
            try:
                line = file.readline(MAX_LINE_BYTES + 1)
            except (OSError, MemoryError) as error:
                raise unreadable(path, error, hint) from error
            if not line:
                return
            number += 1
            if hashed is not None:
                hashed.update(line)
            where = f"{path}, line {number}"
            if len(line) > MAX_LINE_BYTES:
                raise DataError(f"{where} is longer than {MAX_LINE_BYTES:,} bytes; {hint}")
            yield where, parse_json(line, where, hint)


def parse_json(content: bytes, where: str, hint: str) -> object:
    """Decode JSON.

    Args:
        content: UTF-8 bytes, with or without a byte order mark.
        where: Name of the JSON in errors.
        hint: As in ``read_json``.

    Raises:
        DataError: the content is rejected, see the module's docstring.
    """
    try:
        text = content.decode("utf-8-sig")
        value = (
            _DECODER.decode(text) if not _LONG_NUMBER.search(text) else _STRICT_DECODER.decode(text)
        )
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        value = _TOO_DEEP
    except UnicodeEncodeError as error:
        raise DataError(
            f"{where} contains an unpaired surrogate (\\u{ord(error.object[error.start]):x} "
            f"alone); {hint}"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8 text ({error.reason}); {hint}") from error
    except (ValueError, MemoryError) as error:
        reason = str(error)[:200] or type(error).__name__
        raise DataError(f"{where} cannot be read as JSON ({reason}); {hint}") from error
    if value is _TOO_DEEP or _is_deeper(value, MAX_DEPTH):
        raise DataError(f"{where} is nested more than {MAX_DEPTH} deep; {hint}")
    return value


_TOO_DEEP = object()
_CONTAINERS = frozenset((dict, list))


def _is_deeper(value: object, bound: int) -> bool:
    """Return whether containers are nested deeper than ``bound``, without recursion."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(bound):
        children: list[dict[str, object] | list[object]] = []
        for container in level:
            values = container.values() if isinstance(container, dict) else container
            # Long lists contain mostly numbers; set operations avoid a Python loop.
            if not _CONTAINERS.isdisjoint(map(type, values)):
                children += [child for child in values if isinstance(child, (dict, list))]
        if not children:
            return False
        level = children
    return True


def _reject_duplicate_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        duplicate = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {show(duplicate)} occurs twice")
    return found


def _parse_finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"number {show(text)} is too large")
    return value


def _reject_constant(text: str) -> object:
    raise ValueError(f"{text} is not a valid JSON number")


def _parse_short_integer(text: str) -> int:
    if len(text) >= _MAX_DIGITS:
        raise ValueError(f"a number has {len(text)} digits")
    return int(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_reject_duplicate_keys,
    parse_float=_parse_finite,
    parse_constant=_reject_constant,
)
# Only for texts with long numbers: a call per integer would slow down lists of hashes.
_STRICT_DECODER = json.JSONDecoder(
    object_pairs_hook=_reject_duplicate_keys,
    parse_float=_parse_finite,
    parse_constant=_reject_constant,
    parse_int=_parse_short_integer,
)

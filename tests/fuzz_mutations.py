"""Changes of valid bytes, JSON and Python values into what a broken or hostile source may hold."""

import copy
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

# What headers have where a number, name or format belongs.
VALUES = (
    *("0", "-1", "1", "2", "99999999", "1e308", "-1e308", "1e-320", "nan", "inf", "", "x", "\x00"),
    *("9" * 400, "1/0", "1(2)/mV", "212", "16x0", "16x-2", "../a", "µ", '"', "[", "{", "None"),
    *("<f8", "|O", "True", "time", "2**64", "4294967296", "0x10", "1_0", "٣"),
)
# What JSON may have where something else belongs.
JSON_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 3, 2**31, 2**63, -(2**63), 10**30, 0.5, -0.0, 1e308, 1e-320),
    *(float("nan"), float("inf"), "", "x", "nan", "1", "../..", "a\ud800", "\x1b[31m", "$\\frac$"),
    *([], {}, [[]], [None], [1, 2, 3], {"x": 1}, "x" * 5000, [0] * 2000, "tensorflow", "os.system"),
)
_TOKEN = re.compile(rb"[-+.\w]+")
# Those that keep the length of the file, and so get past its first checks, come most often.
KINDS = ("flip", "flip", "set", *("padded field",) * 4, "field", "cut", "insert", "double")

Change = tuple[str, float, int, bytes]


def change_bytes(data: bytes, changes: Sequence[Change]) -> bytes:
    """Apply (kind, position as a share of the data, number, bytes) changes one after another."""
    content = bytearray(data)
    for kind, position, number, piece in changes:
        at = int(position * max(0, len(content) - 1))
        if kind == "cut":
            del content[at:]
        elif kind == "insert":
            content[at:at] = piece
        elif kind == "double":
            content[at:at] = content[at : at + number]
        elif kind in ("field", "padded field"):
            # Headers are at the beginning, so half of the changes are.
            tokens = list(_TOKEN.finditer(bytes(content[: 4096 if number % 2 else None])))
            if tokens:
                start, stop = tokens[int(position * (len(tokens) - 1))].span()
                padded = kind == "padded field"
                content[start:stop] = piece.ljust(stop - start)[: stop - start] if padded else piece
        elif content:
            content[at] = content[at] ^ (1 << number % 8) if kind == "flip" else number
    return bytes(content)


def draw_bytes(rng: np.random.Generator, data: bytes) -> bytes:
    """Change data at one to three random positions."""
    changes: list[Change] = []
    for _ in range(int(rng.integers(1, 4))):
        piece = (
            str(rng.choice(VALUES)).encode()
            if rng.random() < 0.6
            else rng.bytes(int(rng.integers(1, 9)))
        )
        kind = str(rng.choice(KINDS))
        changes.append((kind, float(rng.random()), int(rng.integers(256)), piece))
    return change_bytes(data, changes)


def draw_json(rng: np.random.Generator, value: Any) -> Any:
    """Change one to two random places of a JSON value: replace, remove, repeat, wrap or rename."""
    changed = copy.deepcopy(value)
    for _ in range(int(rng.integers(1, 3))):
        holders = _containers(changed)
        if not holders:
            return _hostile(rng)
        holder = holders[int(rng.integers(len(holders)))]
        key = _key_of(rng, holder)
        kind = rng.choice(("replace", "replace", "replace", "remove", "repeat", "wrap", "rename"))
        if kind == "replace":
            holder[key] = _hostile(rng)
        elif kind == "remove":
            del holder[key]
        elif kind == "repeat" and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        elif kind == "wrap":
            holder[key] = [holder[key]]
        elif isinstance(holder, dict):
            holder[str(rng.choice(VALUES))] = holder.pop(key)
        else:
            rng.shuffle(holder)
    return changed


def _containers(value: Any) -> list[Any]:
    """List the containers in a value that are not empty, itself included."""
    parts = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list) or not value:
        return []
    return [value, *(found for part in parts for found in _containers(part))]


def _key_of(rng: np.random.Generator, holder: Any) -> Any:
    keys = list(holder) if isinstance(holder, dict) else range(len(holder))
    return keys[int(rng.integers(len(keys)))]


def _hostile(rng: np.random.Generator) -> Any:
    if rng.random() < 0.03:
        nested: Any = 0
        for _ in range(int(rng.integers(50, 250))):
            nested = [nested]
        return nested
    return copy.deepcopy(JSON_VALUES[int(rng.integers(len(JSON_VALUES)))])

"""Collectives of a compiled program."""

import re
from collections import Counter

_NAMES = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute"
# An instruction such as '%x = (f32[4,8], f32[]) all-reduce(' or its asynchronous start.
_INSTRUCTION = re.compile(rf"= (\S.*?) ({_NAMES})(?:-start)?\(")
_ARRAY = re.compile(r"(pred|[a-z]+?)(\d*)\[([\d,]*)\]")


def count_collectives(program: str) -> dict[str, int]:
    """Count collectives in the text of a compiled program, by kind."""
    return dict(Counter(match[2] for match in _INSTRUCTION.finditer(program)))


def exchanged_bytes(program: str) -> dict[str, int]:
    """Sum the bytes exchanged by collectives, by kind."""
    sizes: Counter[str] = Counter()
    for match in _INSTRUCTION.finditer(program):
        sizes[match[2]] += sum(_bytes(*array) for array in _ARRAY.findall(match[1]))
    return dict(sizes)


def _bytes(kind: str, bits: str, shape: str) -> int:
    size = 1
    for length in filter(None, shape.split(",")):
        size *= int(length)
    return size * (1 if kind == "pred" else max(1, int(bits or 8) // 8))

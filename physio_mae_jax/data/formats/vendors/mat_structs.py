"""Struct arrays of MATLAB files of version 5 to 7, with fields of numbers, texts and structs."""

import math
import struct
from collections.abc import Iterator
from pathlib import Path

from physio_mae_jax.data.formats.vendors.mat_elements import (
    MATRIX,
    MatVariable,
    iter_elements,
    parse_header,
    parse_numbers,
    parse_text_rows,
    unpacked_content,
)

_MAX_DEPTH = 16
_LONGEST_FIELD_NAME = 64

_Elements = Iterator[tuple[int, memoryview]]


def read_structs(path: Path, variable: MatVariable, order: str) -> list[dict[str, object]]:
    """Return the elements of a struct array, in MATLAB's order.

    A field is an array of its shape, a text, or a list of such dictionaries; None if it is of
    another class of MATLAB, such as a cell or a function.

    Raises:
        DataError, ValueError: it is damaged, nested too deep, or does not fit into memory.
    """
    elements = iter_elements(unpacked_content(path, variable), order)
    _, shape, kind = parse_header(elements, order)
    if kind != "struct":
        raise ValueError(f"variable {variable.name!r} is a {kind}")
    return _structs(elements, shape, order, 1)


def _structs(
    elements: _Elements, shape: tuple[int, ...], order: str, depth: int
) -> list[dict[str, object]]:
    if depth > _MAX_DEPTH:
        raise ValueError(f"structs are nested more than {_MAX_DEPTH} deep")
    names = _field_names(elements, order)
    fields = list(elements)
    if len(fields) != math.prod(shape) * len(names):
        raise ValueError(
            f"a struct of shape {shape} and {len(names)} fields has {len(fields)} values"
        )
    values = iter(fields)
    return [
        {name: _value(*next(values), order, depth) for name in names}
        for _ in range(math.prod(shape) if names else 0)
    ]


def _field_names(elements: _Elements, order: str) -> list[str]:
    (_, length), (_, text) = (next(elements, (0, memoryview(b""))) for _ in "ab")
    (width,) = struct.unpack(f"{order}i", length)
    if not 0 < width <= _LONGEST_FIELD_NAME or len(text) % width:
        raise ValueError(f"field names of {width} bytes have {len(text)} bytes in all")
    starts = range(0, len(text), width)
    return [bytes(text[i : i + width]).partition(b"\0")[0].decode("latin-1") for i in starts]


def _value(element_kind: int, content: memoryview, order: str, depth: int) -> object:
    if element_kind != MATRIX:
        raise ValueError(f"a field of a struct is an element of type {element_kind}")
    if not len(content):
        return None
    elements = iter_elements(content, order)
    name, shape, kind = parse_header(elements, order)
    if kind == "numeric":
        return parse_numbers(elements, shape, order, name or "a field")
    if kind == "char":
        rows = parse_text_rows(elements, shape, order)
        return rows[0] if len(rows) == 1 else None
    return _structs(elements, shape, order, depth + 1) if kind == "struct" else None

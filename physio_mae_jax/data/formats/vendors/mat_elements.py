"""The elements of MATLAB files of version 5 to 7: arrays of numbers, texts and cells of texts.

Format: MathWorks, "MAT-File Format", 2024. An element is a type, a length and that number of bytes;
a variable is an element that contains elements: flags, dimensions, name and values, optionally
compressed by zlib. They are parsed here because the reader of scipy crashes the process on some
damaged files. Lengths are compared with the bytes available before memory is allocated, and a file
can only yield numbers and texts.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.memory import check_memory
from physio_mae_jax.data.regular_file import open_regular
from physio_mae_jax.errors import DataError

HEADER_BYTES = 128
_TAG_BYTES = 8
_PIECE_BYTES = 2**16
_MAX_ELEMENTS = 10_000
_MAX_DIMENSIONS = 32
_LONGEST_NAME = 200
MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CLASSES = {
    1: "cell",
    2: "struct",
    3: "object",
    4: "char",
    5: "sparse",
    16: "function",
    17: "opaque",
}
_NUMERIC_CLASSES = range(6, 16)
_COMPLEX = 0x0800
_AGAIN = "copy it again, or exclude it from the folder or manifest."


class MatVariable(NamedTuple):
    """A variable by its header.

    Attributes:
        name: Name of the variable.
        shape: Shape in MATLAB's order.
        kind: 'numeric', 'complex', 'char', 'cell', 'struct' and other classes of MATLAB.
        offset: Position of its element in the file.
        length: Bytes of the element in the file.
        unpacked_length: Bytes of the element unpacked.
        is_packed: Whether the element is packed.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    offset: int
    length: int
    unpacked_length: int
    is_packed: bool


def read_variables(path: Path) -> tuple[dict[str, MatVariable], str]:
    """Describe all variables of a file, without their values.

    Returns:
        Name -> variable, and the order of its bytes, '<' or '>'.

    Raises:
        DataError, ValueError: the file is cut short or damaged, or has too many variables.
    """
    found: dict[str, MatVariable] = {}
    size = path.stat().st_size
    with open_regular(path, _AGAIN) as file:
        order = "<" if file.read(HEADER_BYTES)[126:128] == b"IM" else ">"
        offset = HEADER_BYTES
        for _ in range(_MAX_ELEMENTS):
            if offset == size:
                return found, order
            file.seek(offset)
            tag = file.read(_TAG_BYTES)
            kind, length = struct.unpack(f"{order}II", tag) if len(tag) == _TAG_BYTES else (0, 0)
            if len(tag) < _TAG_BYTES or length > size - offset - _TAG_BYTES:
                raise UnreadableError(
                    f"{path} is cut short: the variable at byte {offset} takes {length} bytes, "
                    f"{max(size - offset - _TAG_BYTES, 0)} follow; {_AGAIN}"
                )
            begin = offset + _TAG_BYTES
            if kind in (MATRIX, _COMPRESSED):
                variable = _described(file, order, begin, length, kind == _COMPRESSED)
                if variable.name:
                    found[variable.name] = variable
            offset = begin + length
    raise DataError(f"{path} has more than {_MAX_ELEMENTS} variables; {_AGAIN}")


def _described(file: BinaryIO, order: str, begin: int, length: int, is_packed: bool) -> MatVariable:
    data = file.read(min(length, _PIECE_BYTES))
    unpacked_length = length
    if is_packed:
        data = zlib.decompressobj().decompress(data, _PIECE_BYTES)
        kind, unpacked_length = struct.unpack_from(f"{order}II", data)
        if kind != MATRIX:
            raise ValueError(f"the variable at byte {begin} is an element of type {kind}")
        data = data[_TAG_BYTES:]
    name, shape, kind_name = parse_header(
        iter_elements(memoryview(data), order, partial=True), order
    )
    return MatVariable(name, shape, kind_name, begin, length, unpacked_length, is_packed)


def iter_elements(
    data: memoryview, order: str, *, partial: bool = False
) -> Iterator[tuple[int, memoryview]]:
    """Return type and content of each element in ``data``.

    Args:
        data: Elements, one after another, each padded to 8 bytes.
        order: Order of bytes, '<' or '>'.
        partial: Whether ``data`` may end within an element.

    Raises:
        ValueError: an element is longer than ``data``.
    """
    offset = 0
    while offset + _TAG_BYTES <= len(data):
        kind, length = struct.unpack_from(f"{order}II", data, offset)
        begin = offset + _TAG_BYTES
        if kind >> 16:  # up to four bytes, in the tag itself
            kind, length, begin = kind & 0xFFFF, kind >> 16, offset + 4
            if length > 4:
                raise ValueError(f"an element of {length} bytes is stored in a tag, which has 4")
            end = offset + _TAG_BYTES
        else:
            end = begin + -(-length // 8) * 8
        if begin + length > len(data):
            if partial:
                return
            raise ValueError(f"an element takes {length} bytes, {len(data) - begin} follow")
        yield kind, data[begin : begin + length]
        offset = end


def parse_header(
    elements: Iterator[tuple[int, memoryview]], order: str
) -> tuple[str, tuple[int, ...], str]:
    """Return name, shape and kind (see ``MatVariable``) of a variable from its first elements.

    Raises:
        ValueError: they are damaged.
    """
    (_, flags), (_, dimensions), (_, name) = (next(elements, (0, memoryview(b""))) for _ in "abc")
    if len(flags) != 8 or len(dimensions) % 4 or not 8 <= len(dimensions) <= 4 * _MAX_DIMENSIONS:
        raise ValueError("a variable has no flags and dimensions")
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"the name of a variable has {len(name)} characters")
    (word,) = struct.unpack_from(f"{order}I", flags)
    shape = struct.unpack(f"{order}{len(dimensions) // 4}i", dimensions)
    if min(shape) < 0:
        raise ValueError(f"a variable has the shape {shape}")
    kind = _CLASSES.get(word & 0xFF, "unknown")
    if word & 0xFF in _NUMERIC_CLASSES:
        kind = "complex" if word & _COMPLEX else "numeric"
    return bytes(name).decode("latin-1"), shape, kind


def unpacked_content(path: Path, variable: MatVariable) -> memoryview:
    """Read the element of a variable, unpacked.

    Raises:
        DataError: it expands without bound, or does not fit into memory.
        ValueError: its length is not as stated.
    """
    where = f"{path}, variable {variable.name!r}"
    check_memory(where, variable.unpacked_length, variable.length)
    with open_regular(path, _AGAIN) as file:
        file.seek(variable.offset)
        data = file.read(variable.length)
    if variable.is_packed:
        wanted = variable.unpacked_length + _TAG_BYTES
        unpacker = zlib.decompressobj()
        # One byte more than expected, so that the decompressor reaches and verifies the checksum.
        data = unpacker.decompress(data, wanted + 1)[_TAG_BYTES:]
        if len(data) != variable.unpacked_length or not unpacker.eof:
            raise ValueError(
                f"variable {variable.name!r} unpacks to {len(data)} bytes; expected "
                f"{variable.unpacked_length}, as stated"
            )
    return memoryview(data)


def read_numbers(path: Path, variable: MatVariable, order: str) -> np.ndarray:
    """Return a numeric variable as an array of its shape, of the type in which it is stored.

    Raises:
        DataError, ValueError: it is damaged, or does not fit into memory.
    """
    elements = iter_elements(unpacked_content(path, variable), order)
    parse_header(elements, order)
    return parse_numbers(elements, variable.shape, order, f"variable {variable.name!r}")


def parse_numbers(
    elements: Iterator[tuple[int, memoryview]], shape: tuple[int, ...], order: str, what: str
) -> np.ndarray:
    """Return the values of a numeric variable, whose header was parsed, as an array of a shape.

    Raises:
        ValueError: there are more or fewer values; the message calls the variable ``what``.
    """
    kind, values = next(elements, (0, memoryview(b"")))
    if kind not in _NUMBERS or len(values) != math.prod(shape) * np.dtype(_NUMBERS[kind]).itemsize:
        raise ValueError(f"{what} has {len(values)} bytes of type {kind} for the shape {shape}")
    found = np.frombuffer(values, np.dtype(f"{order}{_NUMBERS[kind]}"))
    return found.reshape(shape, order="F")


def read_texts(path: Path, variable: MatVariable, order: str) -> tuple[str, ...]:
    """Return the rows of a char matrix, or the texts of a cell array; () for other content.

    Raises:
        DataError, ValueError: it is damaged, or does not fit into memory.
    """
    elements = iter_elements(unpacked_content(path, variable), order)
    _, shape, kind = parse_header(elements, order)
    if kind == "char":
        return parse_text_rows(elements, shape, order)
    texts: list[str] = []
    for element_kind, content in elements:
        inner = iter_elements(content, order)
        if element_kind != MATRIX:
            return ()
        _, inner_shape, inner_kind = parse_header(inner, order)
        rows = parse_text_rows(inner, inner_shape, order) if inner_kind == "char" else ()
        if len(rows) > 1 or inner_kind != "char":
            return ()
        texts += rows or ("",)
    return tuple(texts)


def parse_text_rows(
    elements: Iterator[tuple[int, memoryview]], shape: tuple[int, ...], order: str
) -> tuple[str, ...]:
    """Return the rows of a char matrix whose header was parsed; () if it is not a matrix of text.

    Raises:
        ValueError: the text has another length than its shape.
    """
    kind, data = next(elements, (0, memoryview(b"")))
    encoding = _TEXTS.get(kind, "")
    if not encoding or len(shape) != 2:
        return ()
    if encoding in ("utf-16", "utf-32"):
        encoding += "-le" if order == "<" else "-be"
    text = bytes(data).decode(encoding, "replace")
    if shape[0] <= 1:
        return (text.strip(),)
    if math.prod(shape) != len(text):
        raise ValueError(f"a text of {len(text)} characters has the shape {shape}")
    # Column after column.
    return tuple(text[row :: shape[0]].strip() for row in range(shape[0]))

"""An interpreter of untrusted pickles, for the opcodes that describe data.

Python's own unpickler executes a pickle: it imports, calls, hashes, sets attributes and allocates.
Here a pickle can only create lists, dictionaries, tuples, texts and numbers, and use names that the
caller maps to functions. Nothing is imported and no
attribute is set. Memory is bounded by the file size: lengths are compared with it, keys are texts,
numbers or flat tuples of these, and the result is a tree of containers (``data.pickle_values``).
"""

import struct
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from physio_mae_jax.data.pickle_values import (
    Function,
    PickledObject,
    PickleError,
    UnknownNameError,
    copy_tree,
    decode_escaped,
    decode_latin1,
    decode_raw_unicode,
    decode_utf8,
    hashable_key,
    parse_integer,
)
from physio_mae_jax.printable import show

MAX_OPERATIONS = 3_000_000
MAX_CONTAINERS = 500_000
_MAX_LINE = 1_000
_MAX_INTEGER_BYTES = 255


class PickleReader:
    """Reads one pickle, of any protocol."""

    def __init__(
        self,
        file: BinaryIO,
        size: int,
        known: Mapping[tuple[str, str], Callable[..., object] | PickledObject],
        persistent: Callable[[object], object] | None = None,
    ) -> None:
        """Create a reader.

        Args:
            file: Seekable file, positioned at its start.
            size: File size in bytes.
            known: (module, name) -> function to be called, or a value.
            persistent: Function called for references to data outside the pickle.
        """
        self._file = file
        self._size = size
        self._allowed_names = known
        self._persistent = persistent
        self._stack: list[object] = []
        self._marks: list[int] = []
        self._memo: dict[int, object] = {}
        self._containers = 0

    def read(self) -> object:
        """Return the content: a tree of dictionaries, lists, tuples and leaves.

        Raises:
            UnknownNameError: the pickle uses a name that is not in ``known``.
            PickleError: the pickle is broken or exceeds the limits.
            Exception: raised by a called function.
        """
        for _ in range(MAX_OPERATIONS):
            code = self._take(1)
            if code == b".":
                return copy_tree(self._pop(), self._size)
            action = _ACTIONS.get(code)
            if action is None:
                raise PickleError(f"operation {code!r} is not supported")
            action(self)
        raise PickleError(f"more than {MAX_OPERATIONS:,} operations")

    # The file

    def _take(self, count: int) -> bytes:
        content = self._file.read(count) if 0 <= count <= self._size else b""
        if len(content) != count or count < 0:
            raise PickleError("it is truncated")
        return content

    def _line(self, max_bytes: int) -> bytes:
        line = self._file.readline(max_bytes + 1)
        if not line.endswith(b"\n"):
            raise PickleError(f"a line has more than {max_bytes} bytes or is truncated")
        return line[:-1]

    def _number(self, layout: str) -> Any:
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    # The stack

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _push_container(self, value: object) -> None:
        self._containers += 1
        if self._containers > MAX_CONTAINERS:
            raise PickleError(f"more than {MAX_CONTAINERS:,} lists, dictionaries and tuples")
        self._stack.append(value)

    def _pop(self) -> object:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise PickleError("it pops from an empty stack")
        return self._stack.pop()

    def _top(self) -> object:
        self._push(value := self._pop())
        return value

    def _pop_marked(self) -> list[object]:
        if not self._marks:
            raise PickleError("it pops from an empty stack")
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    # Operations

    def _long(self, layout: str) -> None:
        count = self._number(layout)
        if count > _MAX_INTEGER_BYTES:
            raise PickleError(f"an integer of {count} bytes")
        self._push(int.from_bytes(self._take(count), "little", signed=True))

    def _put(self, key: int) -> None:
        self._memo[key] = self._top()

    def _get(self, key: int) -> None:
        if key not in self._memo:
            raise PickleError(f"it refers to memo entry {show(key)}, which does not exist")
        self._push(self._memo[key])

    def _tuple(self, count: int) -> None:
        self._push_container(tuple(reversed([self._pop() for _ in range(count)])))

    def _dict(self) -> None:
        values = self._pop_marked()
        self._push_container({})
        self._set_items(values)

    def _discard(self) -> None:
        if self._marks and len(self._stack) == self._marks[-1]:
            self._marks.pop()
        else:
            self._pop()

    def _set_items(self, values: list[object]) -> None:
        target = self._top()
        if not isinstance(target, dict) or len(values) % 2:
            raise PickleError("it sets items of a value that is not a dictionary")
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[hashable_key(key)] = value

    def _append(self, values: list[object]) -> None:
        target = self._top()
        if not isinstance(target, list):
            raise PickleError("it appends to a value that is not a list")
        target.extend(values)

    def _add(self, values: list[object]) -> None:
        target = self._top()
        if not isinstance(target, set):
            raise PickleError("it adds to a value that is not a set")
        target.update(map(hashable_key, values))

    def _push_global(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise PickleError("a name is not a text")
        known = self._allowed_names.get((module, name))
        if known is None:
            raise UnknownNameError(f"{show(module)[1:-1]}.{show(name)[1:-1]}")
        self._push(
            known if isinstance(known, PickledObject) else Function(f"{module}.{name}", known)
        )

    def _push_global_from_lines(self) -> None:
        module, name = self._line(_MAX_LINE), self._line(_MAX_LINE)
        self._push_global(module.decode("utf-8", "replace"), name.decode("utf-8", "replace"))

    def _push_global_from_stack(self) -> None:
        name, module = self._pop(), self._pop()
        self._push_global(module, name)

    def _call(self) -> None:
        arguments, function = self._pop(), self._pop()
        if type(function) is not Function or not isinstance(arguments, tuple):
            raise PickleError("it calls a value that is not a function")
        self._push_container(function.call(*arguments))

    def _build(self) -> None:
        state, target = self._pop(), self._top()
        if not isinstance(target, PickledObject):
            raise PickleError(f"it sets the state of {type(target).__name__}, which has no state")
        target.build(state)

    def _load_persistent(self, reference: object) -> None:
        if self._persistent is None:
            raise PickleError("it refers to data outside the file")
        self._push_container(self._persistent(reference))


def _check_protocol(reader: PickleReader) -> None:
    version = reader._number("<B")
    if version > 5:
        raise PickleError(f"protocol {version} is not supported; the highest is 5")


def _skip_frame(reader: PickleReader) -> None:
    reader._number("<Q")  # frame length


_Action = Callable[[PickleReader], None]


def _numbers() -> dict[bytes, _Action]:
    layouts = {b"J": "<i", b"K": "<B", b"M": "<H", b"G": ">d"}

    def action(layout: str) -> _Action:
        return lambda r: r._push(r._number(layout))

    return {code: action(layout) for code, layout in layouts.items()}


def _texts() -> dict[bytes, _Action]:
    kinds: dict[bytes, tuple[str, Callable[[bytes], object]]] = {
        b"T": ("<i", decode_latin1),
        b"U": ("<B", decode_latin1),
        b"X": ("<I", decode_utf8),
        b"\x8c": ("<B", decode_utf8),
        b"\x8d": ("<Q", decode_utf8),
        b"B": ("<I", bytes),
        b"C": ("<B", bytes),
        b"\x8e": ("<Q", bytes),
        b"\x96": ("<Q", bytes),
    }

    def action(layout: str, decode: Callable[[bytes], object]) -> _Action:
        return lambda r: r._push(decode(r._take(r._number(layout))))

    return {code: action(*kind) for code, kind in kinds.items()}


_ACTIONS: dict[bytes, _Action] = {
    **_numbers(),
    **_texts(),
    # Constants, and numbers and texts on separate lines.
    b"N": lambda r: r._push(None),
    b"\x88": lambda r: r._push(True),
    b"\x89": lambda r: r._push(False),
    b"I": lambda r: r._push(parse_integer(r._line(_MAX_LINE))),
    b"L": lambda r: r._push(parse_integer(r._line(_MAX_LINE))),
    b"F": lambda r: r._push(float(r._line(_MAX_LINE))),
    b"S": lambda r: r._push(decode_escaped(r._line(r._size))),
    b"V": lambda r: r._push(decode_raw_unicode(r._line(r._size))),
    b"\x8a": lambda r: r._long("<B"),
    b"\x8b": lambda r: r._long("<i"),
    # Containers.
    b"(": lambda r: r._marks.append(len(r._stack)),
    b"]": lambda r: r._push_container([]),
    b"}": lambda r: r._push_container({}),
    b"\x8f": lambda r: r._push_container(set()),
    b")": lambda r: r._push(()),
    b"l": lambda r: r._push_container(r._pop_marked()),
    b"d": lambda r: r._dict(),
    b"t": lambda r: r._push_container(tuple(r._pop_marked())),
    b"\x85": lambda r: r._tuple(1),
    b"\x86": lambda r: r._tuple(2),
    b"\x87": lambda r: r._tuple(3),
    b"\x91": lambda r: r._push_container(frozenset(map(hashable_key, r._pop_marked()))),
    b"a": lambda r: r._append([r._pop()]),
    b"e": lambda r: r._append(r._pop_marked()),
    b"s": lambda r: r._set_items([r._pop(), r._pop()][::-1]),
    b"u": lambda r: r._set_items(r._pop_marked()),
    b"\x90": lambda r: r._add(r._pop_marked()),
    # The memo and the stack.
    b"p": lambda r: r._put(parse_integer(r._line(_MAX_LINE))),
    b"q": lambda r: r._put(r._number("<B")),
    b"r": lambda r: r._put(r._number("<I")),
    b"\x94": lambda r: r._put(len(r._memo)),
    b"g": lambda r: r._get(parse_integer(r._line(_MAX_LINE))),
    b"h": lambda r: r._get(r._number("<B")),
    b"j": lambda r: r._get(r._number("<I")),
    b"0": lambda r: r._discard(),
    b"1": lambda r: r._pop_marked().clear(),
    b"2": lambda r: r._push(r._top()),
    # Names, calls, states, and external references.
    b"c": lambda r: r._push_global_from_lines(),
    b"\x93": lambda r: r._push_global_from_stack(),
    b"R": lambda r: r._call(),
    b"b": lambda r: r._build(),
    b"P": lambda r: r._load_persistent(decode_latin1(r._line(_MAX_LINE))),
    b"Q": lambda r: r._load_persistent(r._pop()),
    # Opcodes without content.
    b"\x80": _check_protocol,
    b"\x95": _skip_frame,
}

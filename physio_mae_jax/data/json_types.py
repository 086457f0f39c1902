"""Converting decoded JSON to dataclasses, with type checks of every field.

Supported types: str, bool, int, float, ``Any``, ``Literal``, ``X | Y``,
``tuple[X, ...]``, ``tuple[X, Y]``, ``Sequence[X]``, ``Mapping[str, X]``, dataclasses and typed
dictionaries of these, also with ``NotRequired`` keys, and ``Annotated[int, Between(0, 9)]``. An
integer is accepted as a float, but neither text nor a boolean is accepted as a number. Floats must
be finite; integers have 64 bits unless a range is given.
"""

import dataclasses
import difflib
import functools
import math
import sys
import types
import typing
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired, TypeVar, Union, cast

from physio_mae_jax.errors import DataError, UserError
from physio_mae_jax.printable import show

_T = TypeVar("_T")
_Check = Callable[[object], object]
_MAX_NAME = 100


@dataclasses.dataclass(frozen=True)
class Between:
    """The range of a number, both ends included."""

    low: float = -math.inf
    high: float = math.inf


def check_types(kind: type[_T], value: object, where: str, hint: str) -> _T:
    """Convert a JSON value to a type, checking every field.

    Args:
        kind: Dataclass, or any type listed in the module's docstring.
        value: Decoded JSON of ``json_reader.read_json``.
        where: Name of the JSON in errors, such as the path of its file.
        hint: Clause that ends the error, such as 'copy the folder again.'

    Raises:
        DataError: a field is missing, unknown, of another type or out of range, or the dataclass
            itself rejects the values; the message names the field.
    """
    try:
        return cast(_T, _make_check(cast(Hashable, kind))(value))
    except _MismatchError as error:
        raise DataError(f"{where}{error.message()}; {hint}") from error


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Format a suggestion of the known names closest to ``name``; '' if there is none."""
    # The cost of a comparison is the product of both lengths.
    if len(name) > _MAX_NAME:
        return ""
    near = difflib.get_close_matches(name, list(known), n=2)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


class _MismatchError(Exception):
    """A value of the wrong type or range; the path to it is built while the error propagates."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path: list[str] = []

    def message(self) -> str:
        path = "".join(reversed(self.path)).removeprefix(".")
        return f": {path} {self.problem}" if path else f" {self.problem}"


def _check_at(step: str, check: _Check, value: object) -> object:
    try:
        return check(value)
    except _MismatchError as error:
        error.path.append(step)
        raise


def _mismatch(value: object, expected: str) -> _MismatchError:
    return _MismatchError(f"is {show(value)}, where {expected} is expected")


@functools.cache
def _make_check(kind: object) -> _Check:
    """Return the function that checks a value against a type and converts it."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in _BASIC_CHECKS:
        return _BASIC_CHECKS[kind]
    if dataclasses.is_dataclass(kind):
        return _dataclass_check(cast(type, kind))
    if typing.is_typeddict(kind):
        return _typed_dict_check(kind)
    if origin is Annotated:
        return _number_check(arguments[0], arguments[1])
    if origin is Literal:
        return functools.partial(_check_choice, arguments)
    if origin in (Union, types.UnionType):
        return functools.partial(_check_union, [_make_check(element) for element in arguments])
    if origin is tuple and arguments[-1] is not Ellipsis:
        return functools.partial(_check_tuple, [_make_check(element) for element in arguments])
    if origin in (tuple, list, Sequence):
        return functools.partial(_check_list, tuple if origin is tuple else list, arguments[0])
    if origin in (dict, Mapping):
        return functools.partial(_check_mapping, _make_check(arguments[1]))
    raise TypeError(f"no check for {kind!r}")


def _typed_dict_check(kind: Any) -> _Check:
    hints = {
        name: typing.get_args(hint)[0] if typing.get_origin(hint) is NotRequired else hint
        for name, hint in typing.get_type_hints(kind, include_extras=True).items()
    }
    return _object_check(dict, hints, sorted(kind.__optional_keys__))


def _dataclass_check(kind: type) -> _Check:
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    hints = typing.get_type_hints(kind, include_extras=True)
    absent = [
        name
        for name, field in fields.items()
        if not field.default is field.default_factory is dataclasses.MISSING
    ]
    return _object_check(kind, {name: hints[name] for name in fields}, absent)


def _object_check(
    make: Callable[..., object], kinds: Mapping[str, object], optional_keys: Sequence[str]
) -> _Check:
    """Return the function that checks the fields of an object and passes them to ``make``."""
    checks = {name: _make_check(kind) for name, kind in kinds.items()}
    needed = [name for name in kinds if name not in optional_keys]

    def check(value: object) -> object:
        if type(value) is not dict:
            raise _mismatch(value, "an object")
        for name in value:
            if name not in checks:
                hint = did_you_mean(name, checks).strip()
                raise _MismatchError(f"has an unknown key {show(name)}" + f" ({hint})" * bool(hint))
        for name in needed:
            if name not in value:
                raise _MismatchError(f"lacks {name!r}")
        found = {
            name: _check_at(f".{name}", checks[name], element) for name, element in value.items()
        }
        try:
            return make(**found)
        except UserError as error:
            raise _MismatchError(f"is invalid: {str(error).rstrip('.')}") from error
        except (ValueError, TypeError, ArithmeticError) as error:
            raise _MismatchError(f"is invalid ({type(error).__name__}: {error})") from error

    return check


def _exact_type_check(kind: type, expected: str) -> _Check:
    def check(value: object) -> object:
        if type(value) is not kind:
            raise _mismatch(value, expected)
        return value

    return check


def _limits(kind: type, bounds: Between) -> tuple[float, float]:
    limit = 2**63 - 1 if kind is int else sys.float_info.max
    low = -limit if math.isinf(bounds.low) else bounds.low
    return low, limit if math.isinf(bounds.high) else bounds.high


def _number_check(kind: type, bounds: Between) -> _Check:
    expected = "an integer" if kind is int else "a number"
    if math.isfinite(bounds.low) and math.isfinite(bounds.high):
        expected += f" from {bounds.low:g} to {bounds.high:g}"
    elif math.isfinite(bounds.low):
        expected += f" of at least {bounds.low:g}"
    low, high = _limits(kind, bounds)
    fits = (int,) if kind is int else (int, float)

    def check(value: Any) -> object:
        if type(value) not in fits or not low <= value <= high:
            raise _mismatch(value, expected)
        return kind(value)

    return check


def _check_choice(choices: Sequence[object], value: object) -> object:
    if type(value) not in map(type, choices) or value not in choices:
        raise _mismatch(value, f"one of {', '.join(map(str, choices))}")
    return value


def _check_union(checks: Sequence[_Check], value: object) -> object:
    problems = []
    for check in checks:
        try:
            return check(value)
        except _MismatchError as error:
            problems.append(error)
    # The problem of the alternative that matched deepest is the most specific.
    raise max(problems, key=lambda problem: len(problem.path))


def _check_tuple(checks: Sequence[_Check], value: object) -> tuple[object, ...]:
    if type(value) is not list or len(value) != len(checks):
        raise _mismatch(value, f"a list of {len(checks)}")
    return tuple(
        _check_at(f"[{i}]", check, element)
        for i, (check, element) in enumerate(zip(checks, value, strict=True))
    )


def _check_list(container: type, kind: object, value: object) -> object:
    if type(value) is not list:
        raise _mismatch(value, "a list")
    if _check_all_at_once(kind, value):
        return container(value)
    check = _make_check(kind)
    try:
        return container(map(check, value))
    except _MismatchError:
        return container([_check_at(f"[{i}]", check, element) for i, element in enumerate(value)])


def _check_all_at_once(kind: object, values: Sequence[Any]) -> bool:
    """Check lists of texts or integers at once, without a Python loop."""
    found = set(map(type, values))
    if kind is str or not values:
        return found <= {str}
    plain, *bounds = typing.get_args(kind) if typing.get_origin(kind) is Annotated else (kind,)
    if plain is not int or found != {int}:
        return False
    low, high = _limits(int, bounds[0] if bounds else Between())
    return bool(low <= min(values) and max(values) <= high)


def _check_mapping(check: _Check, value: object) -> dict[str, object]:
    if type(value) is not dict:
        raise _mismatch(value, "an object")
    return {name: _check_at(f"[{show(name)}]", check, element) for name, element in value.items()}


_BASIC_CHECKS: dict[object, _Check] = {
    Any: lambda value: value,
    str: _exact_type_check(str, "a text"),
    bool: _exact_type_check(bool, "true or false"),
    int: _number_check(int, Between()),
    float: _number_check(float, Between()),
    dict: _exact_type_check(dict, "an object"),
    type(None): _exact_type_check(type(None), "null"),
}

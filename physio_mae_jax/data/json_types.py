"""From decoded JSON to dataclasses: every value is checked against the type of its field.

Supported types: str, bool, int, float, ``Any``, ``Literal``, ``X | Y``,
``tuple[X, ...]``, ``tuple[X, Y]``, ``Sequence[X]``, ``Mapping[str, X]``, dataclasses and typed
dictionaries of these, and ``Annotated[int, Between(0, 9)]``. An integer is accepted as a float, but
neither text nor a boolean is accepted as a number. Floats must be finite; integers have 64 bits
unless a range is given.
"""

import dataclasses
import difflib
import functools
import math
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, Union, cast

from physio_mae_jax.errors import DataError, UserError
from physio_mae_jax.printable import show

_T = TypeVar("_T")
_Check = Callable[[Any], Any]
_MAX_NAME = 100


@dataclasses.dataclass(frozen=True)
class Between:
    """The range of a number, both ends included."""

    low: float = -math.inf
    high: float = math.inf


def typed(kind: type[_T], value: Any, where: str, hint: str) -> _T:
    """Return a JSON value as an instance of a type.

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
        return cast(_T, _check_of(cast(Any, kind))(value))
    except _MismatchError as error:
        raise DataError(f"{where}{error.message()}; {hint}") from error


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Format a hint at the known names closest to ``name``; empty if there is none."""
    # The time of a comparison is the product of both lengths.
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


def _below(step: str, check: _Check, value: Any) -> Any:
    try:
        return check(value)
    except _MismatchError as error:
        error.path.append(step)
        raise


def _mismatch(value: Any, wanted: str) -> _MismatchError:
    return _MismatchError(f"is {show(value)}, where {wanted} is expected")


@functools.cache
def _check_of(kind: Any) -> _Check:
    """Return the function that checks a value against a type and converts it."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if dataclasses.is_dataclass(kind):
        return _dataclass(cast(type, kind))
    if typing.is_typeddict(kind):
        return _object(dict, typing.get_type_hints(kind, include_extras=True), ())
    if origin is Annotated:
        return _number(arguments[0], arguments[1])
    if origin is Literal:
        return functools.partial(_choice, arguments)
    if origin in (Union, types.UnionType):
        return functools.partial(_any_of, [_check_of(each) for each in arguments])
    if origin is tuple and arguments[-1] is not Ellipsis:
        return functools.partial(_fixed, [_check_of(each) for each in arguments])
    if origin in (tuple, list, Sequence):
        return functools.partial(_several, tuple if origin is tuple else list, arguments[0])
    if origin in (dict, Mapping):
        return functools.partial(_mapping, _check_of(arguments[1]))
    raise TypeError(f"no check for {kind!r}")


def _dataclass(kind: type) -> _Check:
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    hints = typing.get_type_hints(kind, include_extras=True)
    absent = [
        name
        for name, field in fields.items()
        if not field.default is field.default_factory is dataclasses.MISSING
    ]
    return _object(kind, {name: hints[name] for name in fields}, absent)


def _object(
    make: Callable[..., Any], kinds: Mapping[str, Any], optional_keys: Sequence[str]
) -> _Check:
    """Return the function that checks the fields of an object and passes them to ``make``."""
    checks = {name: _check_of(kind) for name, kind in kinds.items()}
    needed = [name for name in kinds if name not in optional_keys]

    def check(value: Any) -> Any:
        if type(value) is not dict:
            raise _mismatch(value, "an object")
        for name in value:
            if name not in checks:
                hint = did_you_mean(name, checks).strip()
                raise _MismatchError(f"has an unknown key {show(name)}" + f" ({hint})" * bool(hint))
        for name in needed:
            if name not in value:
                raise _MismatchError(f"lacks {name!r}")
        found = {name: _below(f".{name}", checks[name], each) for name, each in value.items()}
        try:
            return make(**found)
        except UserError as error:
            raise _MismatchError(f"is invalid: {str(error).rstrip('.')}") from error
        except (ValueError, TypeError, ArithmeticError) as error:
            raise _MismatchError(f"is invalid ({type(error).__name__}: {error})") from error

    return check


def _exact(kind: type, wanted: str) -> _Check:
    def check(value: Any) -> Any:
        if type(value) is not kind:
            raise _mismatch(value, wanted)
        return value

    return check


def _limits(kind: type, bounds: Between) -> tuple[float, float]:
    most = 2**63 - 1 if kind is int else sys.float_info.max
    low = -most if math.isinf(bounds.low) else bounds.low
    return low, most if math.isinf(bounds.high) else bounds.high


def _number(kind: type, bounds: Between) -> _Check:
    wanted = "a whole number" if kind is int else "a number"
    if math.isfinite(bounds.low) and math.isfinite(bounds.high):
        wanted += f" from {bounds.low:g} to {bounds.high:g}"
    elif math.isfinite(bounds.low):
        wanted += f" of at least {bounds.low:g}"
    low, high = _limits(kind, bounds)
    fits = (int,) if kind is int else (int, float)

    def check(value: Any) -> Any:
        if type(value) not in fits or not low <= value <= high:
            raise _mismatch(value, wanted)
        return kind(value)

    return check


def _choice(choices: Sequence[Any], value: Any) -> Any:
    if type(value) not in map(type, choices) or value not in choices:
        raise _mismatch(value, f"one of {', '.join(map(str, choices))}")
    return value


def _any_of(checks: Sequence[_Check], value: Any) -> Any:
    problems = []
    for check in checks:
        try:
            return check(value)
        except _MismatchError as error:
            problems.append(error)
    # The problem of the alternative that matched deepest is the most specific.
    raise max(problems, key=lambda problem: len(problem.path))


def _fixed(checks: Sequence[_Check], value: Any) -> tuple[Any, ...]:
    if type(value) is not list or len(value) != len(checks):
        raise _mismatch(value, f"a list of {len(checks)}")
    return tuple(
        _below(f"[{i}]", check, each)
        for i, (check, each) in enumerate(zip(checks, value, strict=True))
    )


def _several(container: type, kind: Any, value: Any) -> Any:
    if type(value) is not list:
        raise _mismatch(value, "a list")
    if _all_fit(kind, value):
        return container(value)
    check = _check_of(kind)
    try:
        return container(map(check, value))
    except _MismatchError:
        return container([_below(f"[{i}]", check, each) for i, each in enumerate(value)])


def _all_fit(kind: Any, values: Sequence[Any]) -> bool:
    """Check lists of texts or integers as a whole, without a loop in Python."""
    found = set(map(type, values))
    if kind is str or not values:
        return found <= {str}
    plain, *bounds = typing.get_args(kind) if typing.get_origin(kind) is Annotated else (kind,)
    if plain is not int or found != {int}:
        return False
    low, high = _limits(int, bounds[0] if bounds else Between())
    return bool(low <= min(values) and max(values) <= high)


def _mapping(check: _Check, value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise _mismatch(value, "an object")
    return {name: _below(f"[{show(name)}]", check, each) for name, each in value.items()}


_SIMPLE: dict[Any, _Check] = {
    Any: lambda value: value,
    str: _exact(str, "a text"),
    bool: _exact(bool, "true or false"),
    int: _number(int, Between()),
    float: _number(float, Between()),
    dict: _exact(dict, "an object"),
    type(None): _exact(type(None), "null"),
}

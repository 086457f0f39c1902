"""Kinds of settings: valid values, and the error messages for invalid ones."""

import dataclasses
import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.local_paths import local_path
from physio_mae_jax.printable import printable

_MAX_SHOWN = 80
_MAX_TEXT = 100_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Number:
    """A finite number within bounds.

    Attributes:
        low, high: Bounds, inclusive by default.
        above, below: Whether to exclude the lower or upper bound itself.
        whole: Whether the number must be an integer.
        example: Valid value for error messages.
    """

    low: float
    high: float
    above: bool = False
    below: bool = False
    whole: bool = False
    example: float

    def error_message(self, value: object) -> str:
        """Return the requirement that a value violates; '' where it is valid."""
        kind = numbers.Integral if self.whole else numbers.Real
        if isinstance(value, bool) or not isinstance(value, kind) or not self._holds(value):
            return f"it must be {self.description}, such as {_written(self.example)}"
        return ""

    @property
    def description(self) -> str:
        """The bounds as text."""
        noun = "an integer" if self.whole else "a number"
        low = f"{'above' if self.above else 'from'} {_written(self.low)}"
        return f"{noun} {low} to {'below ' if self.below else ''}{_written(self.high)}"

    def _holds(self, value: Any) -> bool:
        try:
            finite = math.isfinite(value)
        except OverflowError:  # an integer beyond the largest float
            return False
        under = value < self.high if self.below else value <= self.high
        return finite and under and (value > self.low if self.above else value >= self.low)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Numbers:
    """Several numbers, each within bounds.

    Attributes:
        each: Bounds of each number.
        least, max_length: Bounds on how many there are.
        rule: Predicate of the numbers together.
        description: Text of that rule and the count.
        example: Valid values for error messages.
    """

    each: Number
    min_length: int
    max_length: int
    description: str
    example: tuple[float, ...]
    rule: Callable[[Sequence[float]], bool] = lambda values: True

    def error_message(self, value: object) -> str:
        """Return the requirement that a value violates; '' where it is valid."""
        right = (
            isinstance(value, list | tuple)
            and self.min_length <= len(value) <= self.max_length
            and not any(self.each.error_message(one) for one in value)
            and self.rule(value)
        )
        return "" if right else f"it must be {self.description}, such as {self.example}"


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of several strings."""

    choices: tuple[str, ...]

    def error_message(self, value: object) -> str:
        """Return the requirement that a value violates; '' where it is valid."""
        right = isinstance(value, str) and value in self.choices
        return "" if right else f"choose one of {', '.join(self.choices)}"


@dataclasses.dataclass(frozen=True)
class Flag:
    """True or False."""

    def error_message(self, value: object) -> str:
        """Return the requirement that a value violates; '' where it is valid."""
        return "" if isinstance(value, bool) else "it must be True or False"


@dataclasses.dataclass(frozen=True)
class Text:
    """A string, whose content is validated where it is used."""

    example: str = ""

    def error_message(self, value: object) -> str:
        """Return the requirement that a value violates; '' where it is valid."""
        if not isinstance(value, str):
            return f"it must be text, such as {self.example!r}"
        if "\0" in value or len(value) > _MAX_TEXT:
            return f"it must be text of at most {_MAX_TEXT} letters without NUL"
        return ""


@dataclasses.dataclass(frozen=True)
class LocalPath(Text):
    """A local path, or '' where it is optional."""


Kind = Number | Numbers | Choice | Flag | Text


def check_setting_value(kind: Kind, key: str, value: object) -> None:
    """Raise a ConfigError where a value is not of a kind, with the setting, its value and a fix.

    Args:
        kind: Kind of the setting.
        key: Name of the setting, such as 'model.width'.
        value: Value to check.
    """
    error_message = kind.error_message(value)
    if error_message:
        shown = _written(value) if isinstance(value, numbers.Real) else _quoted(value)
        raise ConfigError(f"{key} is {printable(shown, _MAX_SHOWN)}; {error_message}.")
    if isinstance(kind, LocalPath) and value:
        local_path(value, key)


def _written(value: object) -> str:
    """Format a number with digit grouping."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return str(value)
    if isinstance(value, numbers.Integral):
        whole = int(value)
        # Python raises on formatting integers of thousands of digits.
        return f"{whole:,}" if abs(whole) < 10**15 else f"about {_power(whole)}"
    number = float(value)
    return f"{number:,.6g}" if abs(number) < 1e7 else f"{number:g}"


def _quoted(value: object) -> str:
    try:
        return repr(value)
    except ValueError:  # contains an integer of thousands of digits
        return f"a {type(value).__name__}"


def _power(value: int) -> str:
    exponent = int(value.bit_length() * math.log10(2))
    return f"{'-' if value < 0 else ''}10^{exponent}"

"""Kinds of settings: what a value may be, and how that is said to whoever gave another one."""

import dataclasses
import math
import numbers
from collections.abc import Callable
from typing import Any

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.local_paths import local_path
from physio_mae_jax.printable import printable

_LONGEST_SHOWN = 80
_LONGEST_TEXT = 100_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Number:
    """A finite number within bounds.

    Attributes:
        low, high: bounds.
        above, below: leave out the bound itself.
        whole: a whole number.
        example: a value that is meant.
    """

    low: float
    high: float
    above: bool = False
    below: bool = False
    whole: bool = False
    example: float

    def fault(self, value: Any) -> str:
        """Say what is wanted instead of a value; '' where it is right."""
        kind = numbers.Integral if self.whole else numbers.Real
        if isinstance(value, bool) or not isinstance(value, kind) or not self._holds(value):
            return f"{self.words} is needed, such as {_written(self.example)}"
        return ""

    @property
    def words(self) -> str:
        """The bounds in words."""
        noun = "a whole number" if self.whole else "a number"
        low = f"{'above' if self.above else 'from'} {_written(self.low)}"
        return f"{noun} {low} to {'below ' if self.below else ''}{_written(self.high)}"

    def _holds(self, value: Any) -> bool:
        try:
            finite = math.isfinite(value)
        except OverflowError:  # a whole number beyond the largest float
            return False
        under = value < self.high if self.below else value <= self.high
        return finite and under and (value > self.low if self.above else value >= self.low)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Numbers:
    """Several numbers, each within bounds.

    Attributes:
        each: what each may be.
        least, most: how many.
        rule: says whether they fit together.
        words: of that rule and the count.
        example: values that are meant.
    """

    each: Number
    least: int
    most: int
    words: str
    example: tuple[float, ...]
    rule: Callable[[Any], bool] = lambda values: True

    def fault(self, value: Any) -> str:
        """Say what is wanted instead of a value; '' where it is right."""
        right = (
            isinstance(value, list | tuple)
            and self.least <= len(value) <= self.most
            and not any(self.each.fault(one) for one in value)
            and self.rule(value)
        )
        return "" if right else f"{self.words} is needed, such as {self.example}"


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of some texts."""

    choices: tuple[str, ...]

    def fault(self, value: Any) -> str:
        """Say what is wanted instead of a value; '' where it is right."""
        right = isinstance(value, str) and value in self.choices
        return "" if right else f"choose one of {', '.join(self.choices)}"


@dataclasses.dataclass(frozen=True)
class Flag:
    """True or False."""

    def fault(self, value: Any) -> str:
        """Say what is wanted instead of a value; '' where it is right."""
        return "" if isinstance(value, bool) else "True or False is needed"


@dataclasses.dataclass(frozen=True)
class Text:
    """A text, whose meaning is checked where it is read."""

    example: str = ""

    def fault(self, value: Any) -> str:
        """Say what is wanted instead of a value; '' where it is right."""
        if not isinstance(value, str):
            return f"a text is needed, such as {self.example!r}"
        if "\0" in value or len(value) > _LONGEST_TEXT:
            return f"a text of at most {_LONGEST_TEXT} letters without NUL is needed"
        return ""


@dataclasses.dataclass(frozen=True)
class LocalPath(Text):
    """A path of this machine, or '' where it may be left out."""


Kind = Number | Numbers | Choice | Flag | Text


def refuse_fault(kind: Kind, key: str, value: Any) -> None:
    """Raise a ConfigError where a value is not of a kind; it names the setting, value and way out.

    Args:
        kind: what the value may be.
        key: of the setting, such as 'model.width'.
        value: that was given.
    """
    fault = kind.fault(value)
    if fault:
        shown = _written(value) if isinstance(value, numbers.Real) else _quoted(value)
        raise ConfigError(f"{key} is {printable(shown, _LONGEST_SHOWN)}; {fault}.")
    if isinstance(kind, LocalPath) and value:
        local_path(value, key)


def _written(value: Any) -> str:
    """Write a number as a person would."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return str(value)
    if isinstance(value, numbers.Integral):
        whole = int(value)
        # Python refuses to write whole numbers of thousands of digits.
        return f"{whole:,}" if abs(whole) < 10**15 else f"about {_power(whole)}"
    number = float(value)
    return f"{number:,.6g}" if abs(number) < 1e7 else f"{number:g}"


def _quoted(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # a whole number of thousands of digits within
        return f"a {type(value).__name__}"


def _power(value: int) -> str:
    exponent = int(value.bit_length() * math.log10(2))
    return f"{'-' if value < 0 else ''}10^{exponent}"

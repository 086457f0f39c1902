"""Every value of a JSON object is what its field says."""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from physio_mae_jax.data.json_types import Between, check_types
from physio_mae_jax.errors import ConfigError, DataError
from tests.data.json_values import PLAIN

HINT = "copy it again."


@dataclasses.dataclass(frozen=True)
class Part:
    """A part."""

    count: Annotated[int, Between(0)]
    weight: float = 1.0


@dataclasses.dataclass(frozen=True)
class Whole:
    """Fields of every kind."""

    name: str
    parts: Mapping[str, Part]
    kind: Literal["a", "b"] = "a"
    lengths: tuple[int, ...] = ()
    band: tuple[float, float] | None = None
    hashes: Sequence[Annotated[int, Between(0, 2**64 - 1)]] = ()
    is_on: bool = False

    def __post_init__(self) -> None:
        if self.name == "bad":
            raise ConfigError("name is bad; choose another one.")


GOOD: dict[str, Any] = {
    "name": "x",
    "parts": {"p": {"count": 3, "weight": 2}},
    "kind": "b",
    "lengths": [1, 2],
    "band": [0.5, 40],
    "hashes": [2**64 - 1],
    "is_on": True,
}


def test_a_dataclass_is_made_of_its_json():
    made = check_types(Whole, GOOD, "a.json", HINT)
    assert made == Whole("x", {"p": Part(3, 2.0)}, "b", (1, 2), (0.5, 40.0), [2**64 - 1], True)
    assert isinstance(made.band[1], float)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": 3}, "name is 3, where a text is expected"),
        ({"name": None}, "name is None, where a text"),
        ({"name": "bad"}, "is invalid: name is bad; choose another one"),
        ({"kind": "c"}, "kind is 'c', where one of a, b is expected"),
        ({"kind": ["a"]}, r"kind is \['a'\], where one of"),
        ({"parts": [1]}, r"parts is \[1\], where an object"),
        ({"parts": {"p": {}}}, r"parts\['p'\] lacks 'count'"),
        ({"parts": {"p": {"count": -1}}}, r"count is -1, where an integer of at least 0"),
        ({"parts": {"p": {"count": True}}}, r"count is True, where an integer"),
        ({"parts": {"p": {"count": 2**63}}}, "where an integer"),
        ({"parts": {"p": {"count": 1, "weigth": 2}}}, "unknown key 'weigth' .Did you mean 'weight"),
        ({"parts": {"p": {"count": 1, "weight": "2"}}}, "weight is '2', where a number"),
        ({"parts": {"p": {"count": 1, "weight": 10**400}}}, "where a number is expected"),
        ({"lengths": [1, 2.0]}, r"lengths\[1\] is 2\.0"),
        ({"lengths": "12"}, "lengths is '12', where a list"),
        ({"band": [1]}, r"band is \[1\], where a list of 2"),
        ({"band": [1, "2"]}, r"band\[1\] is '2'"),
        ({"hashes": [2**64]}, r"hashes\[0\] is"),
        ({"is_on": 1}, "is_on is 1, where true or false"),
        ({"x" * 100_000: 1}, "unknown key 'xxx"),
    ],
)
def test_a_field_that_does_not_fit_is_named(changes, message):
    with pytest.raises(DataError, match=rf"^a\.json:? .*{message}.*; copy it again\.$") as caught:
        check_types(Whole, GOOD | changes, "a.json", HINT)
    assert len(str(caught.value)) < 400


class Named(TypedDict):
    """A name, and perhaps more."""

    name: str
    parts: NotRequired[Mapping[str, int]]


def test_keys_of_a_typed_dictionary_may_be_optional():
    assert check_types(Named, {"name": "x"}, "a.json", HINT) == {"name": "x"}
    full = {"name": "x", "parts": {"p": 1}}
    assert check_types(Named, full, "a.json", HINT) == full
    with pytest.raises(DataError, match=r"parts\['p'\] is 'y', where an integer"):
        check_types(Named, {"name": "x", "parts": {"p": "y"}}, "a.json", HINT)
    with pytest.raises(DataError, match=r"lacks 'name'"):
        check_types(Named, {"parts": {}}, "a.json", HINT)


@given(PLAIN, st.sampled_from(sorted(GOOD)))
def test_any_value_fits_or_is_rejected(value, name):
    with contextlib.suppress(DataError):
        check_types(Whole, GOOD | {name: value}, "a.json", HINT)


def test_an_absent_field_is_named():
    with pytest.raises(DataError, match=r"^a\.json lacks 'parts'; copy it again\.$"):
        check_types(Whole, {"name": "x"}, "a.json", HINT)

"""Kinds of settings accept their values, and say of others what is expected."""

import pytest

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.setting_kinds import Choice, Flag, Number, Numbers, Text, check_setting_value

SHARE = Number(low=0, high=1, below=True, example=0.5)
COUNT = Number(low=1, high=10**6, whole=True, example=8)
PAIR = Numbers(
    each=SHARE, min_length=2, max_length=2, description="two rising shares", example=(0.1, 0.2),
    rule=lambda values: values[0] < values[1],
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (SHARE, 0), (SHARE, 0.999), (COUNT, 10**6), (PAIR, (0.1, 0.2)), (PAIR, [0, 0.5]),
        (Choice(("a", "b")), "b"), (Flag(), False), (Text(), "any"),
    ],
)  # fmt: skip
def test_values_of_a_kind_are_accepted(kind, value):
    check_setting_value(kind, "x", value)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (SHARE, 1, r"x is 1; it must be a number from 0 to below 1, such as 0\.5"),
        (SHARE, float("nan"), r"x is nan; it must be a number"),
        (SHARE, True, r"it must be a number from 0"),
        (COUNT, 2.0, r"it must be an integer from 1 to 1,000,000, such as 8"),
        (COUNT, 10**500, r"x is about 10\^500; it must be an integer"),
        (PAIR, (0.2, 0.1), r"it must be two rising shares, such as \(0\.1, 0\.2\)"),
        (PAIR, (0.1,), r"it must be two rising shares"),
        (Choice(("a", "b")), "c", r"x is 'c'; choose one of a, b"),
        (Flag(), 1, r"it must be True or False"),
        (Text("runs/1"), 3, r"it must be text, such as 'runs/1'"),
        (Text(), "a\0b", r"without NUL"),
    ],
)
def test_other_values_are_rejected_with_what_is_expected(kind, value, message):
    with pytest.raises(ConfigError, match=message):
        check_setting_value(kind, "x", value)

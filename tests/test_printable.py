"""Values in messages: short, on one line, whatever they are."""

import time
from typing import Any

import numpy as np
import pytest

from physio_mae_jax.printable import show


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1.5, "1.5"),
        ("a\nb", r"'a\nb'"),
        ([0], "[0]"),
        (np.float32(2), "np.float32(2.0)"),
        (b"x", "b'x'"),
        (None, "None"),
        (Broken(), "a Broken"),
        ([Broken()], "[a Broken]"),
    ],
)
def test_a_value_is_shown_as_in_code(value: object, shown: str) -> None:
    assert show(value) == shown


@pytest.mark.parametrize("value", [np.zeros((9, 9)), {i: "x" * 90 for i in range(9)}, "y" * 999])
def test_a_long_value_is_shortened(value: object) -> None:
    assert len(show(value)) <= 80


def test_huge_values_are_shown_at_once() -> None:
    value: Any = "x"
    for _ in range(60):
        value = (value,) * 10
    start = time.perf_counter()
    assert len(show(value)) <= 80
    assert len(show("y" * 10**6)) <= 80
    assert time.perf_counter() - start < 1

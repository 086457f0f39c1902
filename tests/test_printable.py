"""Values in messages: short, on one line, whatever they are."""

import logging
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from physio_mae_jax.printable import (
    LONGEST_NAME,
    Lines,
    PrintableFormatter,
    printable,
    printable_lines,
    show,
)
from tests.hostile_names import NASTY, is_harmless


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
    start = time.process_time()
    assert len(show(value)) <= 80
    assert len(show("y" * 10**6)) <= 80
    assert time.process_time() - start < 1


@given(st.text(alphabet=st.characters(), max_size=300) | st.sampled_from(NASTY))
def test_no_name_acts(name):
    text = printable(name)
    assert is_harmless(text)
    assert "\n" not in text
    assert len(text) <= 10 * LONGEST_NAME
    assert printable(text, None) == text
    text.encode("utf-8")
    if name.isprintable():
        assert printable(name, None) == name
    assert is_harmless(printable_lines(name).replace("\t", ""))
    assert all(line.startswith(("  ", "|")) for line in printable_lines(name).split("\n")[1:])


def test_names_that_spell_stay_as_they_are():
    for name in ("心电图", "ا\u200cب", "Fläche µV", "🫀", "a\u00a0b"):
        assert printable(name) == name
    assert printable("a\x1b[31m\n\ud800") == r"a\x1b[31m\n\ud800"
    assert printable("x" * 500) == "x" * (LONGEST_NAME - 1) + "…"


def formatted(message, *args):
    record = logging.LogRecord("it", logging.INFO, "it.py", 1, message, args, None)
    return PrintableFormatter("12:00:00  %(message)s").format(record)


def test_log_records_are_one_however_names_are():
    fake = "p1\n12:00:00  done; all is well\x1b[2J"
    assert formatted("subject %s", fake) == (
        r"12:00:00  subject p1\n12:00:00  done; all is well\x1b[2J"
    )
    assert formatted("%s", ValueError(fake)) == (
        "12:00:00  p1\n  12:00:00  done; all is well\\x1b[2J"
    )
    assert formatted(f"subject {fake}").count("\n12") == 0
    assert formatted("\n%s", Lines("a\nb")) == "12:00:00  \n  a\n  b"
    assert formatted("%s, %d", "a", 3) == "12:00:00  a, 3"

"""Values of pickles: numbers and texts of Python 2, and trees of bounded size."""

import pytest

from physio_mae_jax.data.pickle_values import (
    MAX_DEPTH,
    PickleError,
    copy_tree,
    decode_escaped,
    parse_integer,
)


def test_numbers_and_texts_of_python_2_are_read():
    assert (parse_integer(b"00"), parse_integer(b"01")) == (False, True)
    assert (parse_integer(b"12"), parse_integer(b"-7L")) == (12, -7)
    assert decode_escaped(rb"'a\x41\n'") == "aA\n"
    with pytest.raises(PickleError, match="not in quotes"):
        decode_escaped(b"'a")


def test_shared_references_do_not_expand():
    shared = [0] * 10
    for _ in range(8):
        shared = [shared] * 10
    with pytest.raises(PickleError, match="too many values"):
        copy_tree(shared, 100)


def test_nesting_has_a_limit():
    nested = []
    for _ in range(MAX_DEPTH + 1):
        nested = [nested]
    with pytest.raises(PickleError, match=f"more than {MAX_DEPTH} deep"):
        copy_tree(nested, 100)

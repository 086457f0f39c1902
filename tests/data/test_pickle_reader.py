"""Pickles come back as Python wrote them, or are rejected."""

import contextlib
import pickle

from hypothesis import given, settings
from hypothesis import strategies as st

from physio_mae_jax.data.pickle_values import PickleError
from physio_mae_jax.errors import DataError
from tests.data.pickles import read

DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(max_size=300),
    lambda child: (
        st.lists(child, max_size=4)
        | st.dictionaries(st.text() | st.integers(), child, max_size=4)
        | st.tuples(child, child)
        | st.sets(st.integers())
    ),
    max_leaves=25,
)


@given(DATA, st.integers(2, pickle.HIGHEST_PROTOCOL))
def test_data_comes_back_as_python_wrote_it(value, protocol):
    content = pickle.dumps(value, protocol)
    # Sets, and bytes of protocol 2, are calls of builtins there.
    if b"builtin" not in content and b"_codecs" not in content:
        assert read(content) == value


@settings(max_examples=300)
@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_rejected(content):
    with contextlib.suppress(PickleError, DataError, ValueError, TypeError, ArithmeticError):
        read(content)

"""Metadata tables of any content are read or rejected."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.tables import read_table
from tests.fuzz_guards import CHANGES, FUZZ, guarded
from tests.fuzz_mutations import change_bytes
from tests.fuzz_seeds import TABLE


@FUZZ
@given(changes=CHANGES, delimiter=st.sampled_from(",;\t"))
def test_any_table_is_read_or_rejected(changes: Any, delimiter: str) -> None:
    with guarded() as folder:
        path = folder / "t.csv"
        path.write_bytes(change_bytes(TABLE, changes).replace(b",", delimiter.encode()))
        named = True
        try:
            for row in read_table(path, ("id", "age"), delimiter):
                assert {"id", "age"} <= set(row)
        except DataError as error:
            named = str(path) in str(error)
        assert named

"""Names that no file can have."""

import pytest

from physio_mae_jax.data.regular_file import open_regular
from physio_mae_jax.errors import DataError

HINT = "copy it again."


@pytest.mark.parametrize("name", ["a" * 5000, "a/" * 3000, "a\0b"])
def test_names_that_no_file_can_have(name, tmp_path):
    with pytest.raises(DataError, match="cannot be read") as caught:
        open_regular(tmp_path / name, HINT)
    assert len(str(caught.value)) < 600

"""Formats that are recognized but not read."""

from pathlib import Path

import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError


def test_other_formats_are_recognized(tmp_path: Path) -> None:
    for name in ("d.mat", "e.xyz", "f.rec", "g.vhdr", "h.avro"):
        (tmp_path / name).write_text("x")
    with pytest.raises(DataError, match="has no recordings") as error:
        open_folder(tmp_path)
    for words in (
        "1 .mat (d.mat): these are not MATLAB files",
        "1 .rec (f.rec)",
        "MNE",
        "h.avro",
    ):
        assert words in str(error.value)

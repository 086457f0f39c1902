"""An old data set is kept until the new one is complete."""

from pathlib import Path

import pytest

from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.builder import make_builder
from physio_mae_jax.preparation.layouts.ptbxl import PtbXl
from tests.preparation.ptbxl_source import damage_dat, files, make_source, prepare


def test_overwriting_keeps_the_old_set_until_the_new_one_is_whole(tmp_path):
    source = make_source(tmp_path / "raw", count=5)
    builder, _ = prepare(source, tmp_path / "out")
    before = files(Path(builder.data_dir))
    damage_dat(source)
    with pytest.raises(DataError):
        make_builder(PtbXl())(source=source, data_dir=tmp_path / "out").prepare(overwrite=True)
    assert files(Path(builder.data_dir)) == before
    PreparedSource(Path(builder.data_dir)).read(2, 0, 1000)

"""Several data sets that are joined to one."""

import pytest

from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.errors import ConfigError
from tests.data.instances import instances_of
from tests.prepared import waves


def test_units_of_several_sets_are_told_apart_though_their_recordings_have_one_name(tmp_path):
    sets = [PreparedSource(waves(tmp_path, name, subjects=4)) for name in ("ward_a", "ward_b")]
    joined = ConcatSource(sets, [range(8), range(8)])
    for task in ("wave", "beat"):
        ids = instances_of(joined, task).ids
        assert len(set(ids.tolist())) == len(ids)
    assert instances_of(joined, "wave").ids[0] == "ward_a:p0_0"


def test_one_data_set_is_not_joined_twice(tmp_path):
    prepared = PreparedSource(waves(tmp_path, subjects=4))
    with pytest.raises(ConfigError, match=r"data set 'waves' occurs 2 times.*list it once"):
        ConcatSource([prepared, prepared], [range(2), range(2)])

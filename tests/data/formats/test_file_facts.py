"""Files state their axes, in any order."""

from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.folders import NAMES, whole, write_manifest


@pytest.mark.parametrize(
    ("axes", "order"),
    [
        (["record", "channel", "sample"], (0, 1, 2)),
        (["record", "sample", "channel"], (0, 2, 1)),
        (["sample", "record", "channel"], (2, 0, 1)),
        (None, (0, 2, 1)),
        (None, (0, 1, 2)),
    ],
)
def test_stacked_npz_in_any_order_of_axes(
    tmp_path: Path, axes: list[str] | None, order: tuple[int, ...]
) -> None:
    stacked = np.random.default_rng(1).normal(size=(4, 3, 50)).astype(np.float16)
    who, ids = ["anna", "ben", "anna", "carl"], [7, 8, 9, 10]
    np.savez(tmp_path / "s.npz", data=stacked.transpose(order), who=who, ids=ids)
    entry = {"file": "*.npz", "array": "data", "subject_array": "who", "record_array": "ids"}
    entry |= {"axes": axes} if axes else {}
    write_manifest(tmp_path, entry, sampling_rate_hz=100, channels=NAMES)
    source = open_folder(tmp_path)
    assert [info.subject_id for info in source.recordings] == who
    assert [info.record_id for info in source.recordings] == ["s/7", "s/8", "s/9", "s/10"]
    for index in range(4):
        np.testing.assert_array_equal(whole(source, index), stacked[index].astype(np.float32))


def test_axes_that_could_be_either_are_asked_for(tmp_path: Path) -> None:
    for shape, names in (((3, 3), NAMES), ((7, 50), NAMES)):
        np.save(tmp_path / "a.npy", np.zeros(shape))
        write_manifest(tmp_path, {"file": "a.npy"}, sampling_rate_hz=100, channels=names)
        with pytest.raises(DataError, match=r"a\.npy .*'axes'"):
            open_folder(tmp_path)

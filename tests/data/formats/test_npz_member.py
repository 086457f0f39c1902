"""Members of an npz that are larger than they can rightly be are rejected unread; rates too."""

import time

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.data.formats.npz_member import read_member
from physio_mae_jax.errors import DataError
from tests.data.formats.npz_files import write


@pytest.mark.parametrize(
    "members",
    [
        {"fs": np.full(2_000_000, 100, np.uint8)},
        {"channels": np.full(1_000_000, "II")},
        {"channels": np.array(["x" * 1_000_000, "PPG"])},
        {"subject": np.full(1_000_000, "a")},
        {"record": np.full(1_000_000, "a")},
    ],
    ids=lambda members: next(iter(members)),
)
def test_a_member_that_says_too_much_is_rejected_unread(tmp_path, members, monkeypatch):
    write(tmp_path, **members)
    taken = []
    real = np.lib.format.read_array
    monkeypatch.setattr(
        np.lib.format, "read_array", lambda *a, **k: taken.append(real(*a, **k)) or taken[-1]
    )
    with pytest.raises(DataError, match=r"it must have at most"):
        open_folder(tmp_path)
    assert all(array.nbytes < 1000 for array in taken)


@pytest.mark.parametrize("fs", [100, 100.0, "100", [100], [[100.0]], [100, 100, 100]])
def test_a_rate_may_be_a_number_or_text_of_any_shape(tmp_path, fs):
    write(tmp_path, fs=np.array(fs))
    assert open_folder(tmp_path).recordings[0].sampling_rate_hz == 100


@pytest.mark.parametrize(
    "fs", [1e302, 1e12, 5e4 + 1, 9.99, 0.5, 1e-9, 5e-324, 0, -1, np.nan, np.inf]
)
def test_a_rate_that_is_none_is_rejected_with_the_range(tmp_path, fs):
    write(tmp_path, fs=np.array(fs))
    with pytest.raises(DataError, match=r"a\.npz: a sampling rate of .* Hz .*is not plausible; 10"):
        open_folder(tmp_path)


def test_a_member_read_whole_has_a_limit_too(tmp_path):
    write(tmp_path, y=np.zeros(1000, np.uint8))
    assert len(read_member(tmp_path / "a.npz", "y", "label_array")) == 1000
    with pytest.raises(DataError, match=r"'y' is an array of \(1000,\)"):
        read_member(tmp_path / "a.npz", "y", "label_array", max_values=999)


def test_objects_are_rejected_with_a_way_that_keeps_missing_values_missing(tmp_path):
    write(tmp_path, subject=np.array(["a", None, 1.0], object))
    with pytest.raises(DataError, match=r"'' for missing values") as error:
        open_folder(tmp_path)
    assert "dtype=str" not in str(error.value)


def test_an_archive_of_very_many_members_is_named_in_short(tmp_path):
    write(tmp_path, **{f"m{i}": np.zeros(1) for i in range(300)})
    began = time.perf_counter()
    with pytest.raises(DataError, match=r"and \d+ more") as error:
        read_member(tmp_path / "a.npz", "absent", "label_array")
    assert len(str(error.value)) < 500
    assert time.perf_counter() - began < 5

"""Exports of the Apple Watch, value by value."""

from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.vendor_files import open_one, read_all

RNG = np.random.default_rng(5)
APPLE = """Name,Jane Doe
Date of Birth,1 Jan 1950
Recorded Date,2020-01-01 10:00:00 +0100
Sample Rate,512 hertz


Lead,Lead I
Unit,µV


"""


def test_apple_watch(tmp_path: Path) -> None:
    values = RNG.normal(scale=100, size=900).round(3)
    path = tmp_path / "ecg_2020-01-01.csv"
    path.write_text(APPLE + "".join(f"{x}\n" for x in values), encoding="utf-8")
    source = open_one(tmp_path)
    info = source.recordings[0]
    assert (info.channel_names, info.units, info.sampling_rate_hz) == (("I",), ("uV",), 512)
    np.testing.assert_array_equal(read_all(source)[0], values.astype(np.float32))
    assert str(source.origin(0)).startswith("Apple Watch ECG CSV: rate from its key 'Sample Rate'")
    path.write_text(APPLE + "1.5\nx\n")
    with pytest.raises(DataError) as error:
        open_folder(tmp_path)
    assert "Doe" not in str(error.value)


def test_real_apple_watch(shared: Path) -> None:
    folder = shared / "faults" / "inputs" / "csv_apple_watch"
    if not folder.is_dir():
        pytest.skip(f"no export in {folder}")
    (path,) = folder.glob("*.csv")
    wanted = np.loadtxt(path, skiprows=13, dtype=np.float32, encoding="utf-8")
    np.testing.assert_array_equal(read_all(open_folder(folder))[0], wanted)

"""Samples of WFDB records are those that wfdb reads, of every signal at its own rate."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.data.formats.wfdb_record import read_full_record
from tests.data.formats.wfdb_files import by_wfdb
from tests.folders import whole

with warnings.catch_warnings():
    # wfdb 4.3 calls pandas 3.1 with a keyword that it deprecates.
    warnings.filterwarnings("ignore", message="The inplace keyword")
    import wfdb

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")


def test_uncalibrated_signals_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "r.dat").write_bytes(np.arange(100, dtype="<i2").tobytes())
    (tmp_path / "r.hea").write_text("r 2 50 50\nr.dat 16 0/mV 16 0 0 0 0 I\nr.dat 16\n")
    source = open_folder(tmp_path, channels="I")
    assert "states no gain for I, unnamed; 200 ADC units" in caplog.text
    np.testing.assert_array_equal(whole(source)[0], np.float32(np.arange(0, 100, 2) / 200))


@pytest.mark.parametrize("data_set", ["mitbih_ds1", "ptbxl_native/records500"])
def test_real_records_are_those_of_wfdb(shared: Path, data_set: str) -> None:
    headers = sorted((shared / "data" / data_set).rglob("*.hea"))[:8]
    assert headers
    for path in headers:
        expected = np.stack(by_wfdb(path.parent, path.stem))
        record = read_full_record(path)
        np.testing.assert_array_equal(record.signal, expected)
        header: Any = wfdb.rdheader(str(path.with_suffix("")))
        assert record.channels == tuple(header.sig_name)
        assert (record.units, record.sampling_rate_hz) == (tuple(header.units), header.fs)

"""Samples of every format of WFDB signal files."""

import itertools
import warnings
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.data.formats.wfdb_record import read_full_record
from tests.data.formats.wfdb_files import (
    BYTES_OF_FORMATS,
    FRAMES,
    RATE_HZ,
    assert_stretches,
    by_wfdb,
    write_bytes,
)
from tests.folders import whole

with warnings.catch_warnings():
    # wfdb 4.3 calls pandas 3.1 with a keyword that it deprecates.
    warnings.filterwarnings("ignore", message="The inplace keyword")
    import wfdb

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")


@pytest.mark.parametrize("fmt", BYTES_OF_FORMATS)
@pytest.mark.parametrize("counts", [(1,), (1, 1, 1), (2, 2)])
def test_every_format_and_stretch(tmp_path: Path, fmt: int, counts: tuple[int, ...]) -> None:
    write_bytes(tmp_path, fmt, counts)
    source = open_folder(tmp_path)
    assert source.recordings[0].sampling_rate_hz == RATE_HZ * max(counts)
    np.testing.assert_array_equal(whole(source), by_wfdb(tmp_path))
    assert_stretches(source, whole(source))


@pytest.mark.parametrize("fmt", ["508", "516", "524"])
def test_compressed_formats(tmp_path: Path, fmt: str) -> None:
    limit = 2 ** (int(fmt) - 501)
    rng = np.random.default_rng(1)
    wfdb.wrsamp(
        "r",
        fs=RATE_HZ,
        units=["mV"] * 3,
        sig_name=["I", "II", "III"],
        e_d_signal=[rng.integers(-limit, limit, 2 * FRAMES) for _ in range(3)],
        samps_per_frame=[2] * 3,
        fmt=[fmt] * 3,
        adc_gain=[200.5] * 3,
        baseline=[3] * 3,
        write_dir=str(tmp_path),
    )
    source = open_folder(tmp_path)
    np.testing.assert_array_equal(whole(source), by_wfdb(tmp_path))
    np.testing.assert_array_equal(read_full_record(tmp_path / "r.hea").signal, whole(source))
    assert_stretches(source, whole(source))


@pytest.mark.parametrize(
    ("fmt", "extra"),
    # wfdb cannot read a skew of format 8.
    [*itertools.product((16, 212, 311), (":5", "+24", ":3+12", ":400")), (8, "+24")],
)
def test_skew_and_byte_offset(tmp_path: Path, fmt: int, extra: str) -> None:
    write_bytes(tmp_path, fmt, (1, 1), extra)
    data = (tmp_path / "r.dat").read_bytes()
    (tmp_path / "r.dat").write_bytes(bytes(24) + data)
    source = open_folder(tmp_path)
    if extra == ":400":
        # More than there are: wfdb fails.
        assert np.isnan(whole(source)).all()
        return
    np.testing.assert_array_equal(whole(source), by_wfdb(tmp_path))
    assert_stretches(source, whole(source))

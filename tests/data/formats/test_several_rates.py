"""Channels of several rates are interpolated to the highest."""

import itertools
import warnings
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.data.formats.several_rates import interpolate_slow_channel, source_range
from physio_mae_jax.data.formats.wfdb_record import read_full_record
from tests.data.formats.wfdb_files import FRAMES, RATE_HZ, assert_stretches, by_wfdb, write_bytes
from tests.folders import whole

with warnings.catch_warnings():
    # wfdb 4.3 calls pandas 3.1 with a keyword that it deprecates.
    warnings.filterwarnings("ignore", message="The inplace keyword")

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")


@pytest.mark.parametrize("counts", [(32, 1), (4, 2, 1), (1, 3, 2), (2, 5)])
@pytest.mark.parametrize("fmt", [16, 212])
def test_signals_of_several_rates(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, counts: tuple[int, ...], fmt: int
) -> None:
    write_bytes(tmp_path, fmt, counts)
    source = open_folder(tmp_path)
    fast = max(counts)
    (info,) = source.recordings
    assert (info.sampling_rate_hz, info.num_samples) == (RATE_HZ * fast, FRAMES * fast)
    for row, count, own in zip(whole(source), counts, by_wfdb(tmp_path), strict=True):
        positions = np.arange(FRAMES * fast) * count / fast
        valid = np.nan_to_num(own, nan=0.0)
        expected = np.interp(positions, np.arange(len(own)), valid)
        known = ~np.isnan(row)
        assert known.mean() > 0.9
        np.testing.assert_allclose(row[known], expected[known], rtol=1e-5, atol=1e-5)
        exact = positions % 1 == 0
        np.testing.assert_array_equal(row[exact], own[positions[exact].astype(int)])
    assert_stretches(source, whole(source))
    record = read_full_record(tmp_path / "r.hea")
    np.testing.assert_array_equal(record.signal, whole(source))
    assert len(record.conversions) == sum(count < fast for count in counts)
    warned = [r.getMessage() for r in caplog.records if "interpolation" in r.getMessage()]
    assert len(warned) == 1
    for i, count in enumerate(counts):
        named = f"RESP {i} from {RATE_HZ * count} to {RATE_HZ * fast} Hz" in warned[0]
        assert named == (count < fast)


def test_chosen_signals_of_one_rate_are_read_as_they_are(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_bytes(tmp_path, 16, (8, 1, 8, 2))
    own = by_wfdb(tmp_path)
    for chosen, rate_hz in ((["RESP 0", "RESP 2"], 400), (["RESP 1"], 50), (["RESP 3"], 100)):
        columns = [int(name[-1]) for name in chosen]
        source = open_folder(tmp_path, channels=",".join(chosen))
        assert source.recordings[0].channel_names == tuple(chosen)
        assert source.recordings[0].sampling_rate_hz == rate_hz
        np.testing.assert_array_equal(whole(source), np.stack([own[i] for i in columns]))
    assert "interpolation" not in caplog.text
    source = open_folder(tmp_path, channels="RESP 1,RESP 3")
    assert source.recordings[0].sampling_rate_hz == 100
    assert "RESP 1 from 50 to 100 Hz" in caplog.text


def test_interpolation_is_of_the_two_neighbors_alone() -> None:
    values = np.array([0.0, 4.0, np.nan, 2.0, np.inf, 1.0], np.float32)
    made = interpolate_slow_channel(values, 0, 1, 2, 0, 12)
    expected = [0, 2, 4, np.nan, np.nan, np.nan, 2, np.inf, np.inf, -np.inf, 1, 1]
    np.testing.assert_array_equal(made[:9], expected[:9])
    np.testing.assert_array_equal(made[10:], expected[10:])
    for slow, fast in itertools.product((1, 2, 3, 7), (7, 8, 64)):
        for start, stop in ((0, 1), (5, 9), (fast, 3 * fast)):
            first, last = source_range(slow, fast, 4 * slow, start, stop)
            assert 0 <= first < last <= 4 * slow
            assert last - first <= (stop - start) * slow // fast + 3

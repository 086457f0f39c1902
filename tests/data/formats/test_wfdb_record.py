"""Samples of WFDB records are those that wfdb reads, of every signal at its own rate."""

import itertools
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.folder import FolderSource, open_folder
from physio_mae_jax.data.formats.several_rates import interpolate_slow_channel, source_range
from physio_mae_jax.data.formats.wfdb_record import read_full_record
from physio_mae_jax.errors import DataError

with warnings.catch_warnings():
    # wfdb 4.3 calls pandas 3.1 with a keyword that it deprecates.
    warnings.filterwarnings("ignore", message="The inplace keyword")
    import wfdb

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")

BYTES_OF_FORMATS = {
    8: 1,
    16: 2,
    24: 3,
    32: 4,
    61: 2,
    80: 1,
    160: 2,
    212: 1.5,
    310: 4 / 3,
    311: 4 / 3,
}
FRAMES = 61
RATE_HZ = 50


def write_bytes(
    folder: Path, fmt: int, counts: Sequence[int], extra: str = "", length: int | None = FRAMES
) -> None:
    """Write a record of random bytes, with so many samples of each signal in a frame."""
    rng = np.random.default_rng(fmt)
    size = int(np.ceil(FRAMES * sum(counts) * BYTES_OF_FORMATS[fmt])) + 4
    data = rng.integers(0, 256, size, np.uint8)
    if fmt == 311:
        data[3::4] &= 0x3F  # The two highest bits of four bytes are not used.
    (folder / "r.dat").write_bytes(data.tobytes())
    head = f"r {len(counts)} {RATE_HZ}" + ("" if length is None else f" {length}")
    lines = [
        f"r.dat {fmt}{f'x{count}' if count > 1 else ''}{extra} 150.5(7)/mV 12 0 -3 0 0 RESP {i}"
        for i, count in enumerate(counts)
    ]
    (folder / "r.hea").write_text("\n".join([head, *lines, ""]))


def by_wfdb(folder: Path, name: str = "r", **options: Any) -> list[np.ndarray]:
    """Return what wfdb reads: float32 of each signal at its own rate."""
    record: Any = wfdb.rdrecord(str(folder / name), smooth_frames=False, **options)
    return [np.asarray(values, np.float32) for values in record.e_p_signal]


def whole(source: FolderSource, index: int = 0) -> np.ndarray:
    return source.read(index, 0, source.recordings[index].num_samples)


def assert_stretches(source: FolderSource, expected: np.ndarray, count: int = 40) -> None:
    rng = np.random.default_rng(0)
    for _ in range(count):
        start, stop = sorted(rng.integers(0, expected.shape[1] + 1, 2).tolist())
        np.testing.assert_array_equal(source.read(0, start, stop), expected[:, start:stop])


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


def test_length_and_rate_that_the_header_leaves_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_bytes(tmp_path, 16, (1, 1), length=None)
    expected = np.stack(by_wfdb(tmp_path))
    assert expected.shape == (2, FRAMES + 1)
    np.testing.assert_array_equal(whole(open_folder(tmp_path)), expected)
    text = (tmp_path / "r.hea").read_text()
    for head in ("r 2 50 0", "r 2 50 10:00:00 01/02/2003", "r 2 50/1000(0)"):
        (tmp_path / "r.hea").write_text(text.replace("r 2 50", head, 1))
        np.testing.assert_array_equal(whole(open_folder(tmp_path)), expected)
    assert "no sampling rate" not in caplog.text
    (tmp_path / "r.hea").write_text(text.replace("r 2 50", "r 2", 1))
    source = open_folder(tmp_path)
    assert source.recordings[0].sampling_rate_hz == 250
    assert (
        "r.hea: the header states no sampling rate; 250 Hz, the default of the format, is used"
        in caplog.text
    )
    caplog.clear()
    (tmp_path / "manifest.json").write_text(
        '{"sampling_rate_hz": 500, "recordings": [{"file": "r.hea"}]}'
    )
    assert open_folder(tmp_path).recordings[0].sampling_rate_hz == 500
    assert "no sampling rate" not in caplog.text


def test_uncalibrated_signals_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "r.dat").write_bytes(np.arange(100, dtype="<i2").tobytes())
    (tmp_path / "r.hea").write_text("r 2 50 50\nr.dat 16 0/mV 16 0 0 0 0 I\nr.dat 16\n")
    source = open_folder(tmp_path, channels="I")
    assert "states no gain for I, unnamed; 200 ADC units" in caplog.text
    np.testing.assert_array_equal(whole(source)[0], np.float32(np.arange(0, 100, 2) / 200))


def test_sums_of_every_rate_are_proven(tmp_path: Path) -> None:
    fast, slow = np.arange(400), np.arange(100)
    (tmp_path / "r.dat").write_bytes(
        np.concatenate([fast.reshape(100, 4), slow[:, None]], axis=1).astype("<i2").tobytes()
    )
    sums = fast.sum() % 65536, slow.sum() % 65536
    line = "r.dat 16x4 200/mV 16 0 0 {} 0 II\nr.dat 16 200/mV 16 0 0 {} 0 PLETH\n"
    (tmp_path / "r.hea").write_text("r 2 125 100\n" + line.format(sums[0] - 65536, sums[1]))
    assert read_full_record(tmp_path / "r.hea").signal.shape == (2, 400)
    (tmp_path / "r.hea").write_text("r 2 125 100\n" + line.format(sums[0] + 1, sums[1]))
    with pytest.raises(UnreadableError, match=r"r\.hea: the samples of signal 'II' have the check"):
        read_full_record(tmp_path / "r.hea")
    assert read_full_record(tmp_path / "r.hea", [1]).signal.shape == (1, 100)


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


def test_files_that_changed_after_opening(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    write_bytes(tmp_path, 16, (2, 1))
    source = open_folder(tmp_path)
    write_bytes(tmp_path, 16, (2, 1), length=FRAMES - 1)
    with pytest.raises(DataError, match=r"r\.hea changed: it had 122 samples"):
        source.read(0, 0, 5)
    (tmp_path / "r.dat").write_bytes(b"")
    with pytest.raises(DataError, match=r"r\.dat is truncated"):
        source.read(0, 0, 5)

"""Broken files of recordings are rejected by name."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.folders import NAMES, whole, write_csv, write_format, write_wfdb


class TestBrokenFiles:
    def test_corrupt_npz(self, tmp_path: Path, signal: np.ndarray) -> None:
        path = tmp_path / "a.npz"
        path.write_bytes(b"PK\x03\x04 no archive")
        with pytest.raises(DataError, match=r"a\.npz cannot be read \(BadZipFile"):
            open_folder(tmp_path)
        np.savez_compressed(path, X=signal, channels=NAMES, fs=100)
        with zipfile.ZipFile(path) as archive:
            position = archive.getinfo("X.npy").header_offset + 200
        data = bytearray(path.read_bytes())
        data[position : position + 400] = bytes(400)
        path.write_bytes(bytes(data))
        with pytest.raises(DataError, match=r"a\.npz cannot be read"):
            whole(open_folder(tmp_path))

    @pytest.mark.parametrize("values", [np.array([{}, {}]), np.ones(9, complex), np.array(["a"])])
    def test_arrays_of_no_numbers(self, tmp_path: Path, values: np.ndarray) -> None:
        np.savez(tmp_path / "a.npz", X=values, channels=["I"], fs=100)
        with pytest.raises(DataError, match=r"a\.npz, member 'X' is an array of .*real numbers"):
            open_folder(tmp_path)

    def test_cut_npy(self, tmp_path: Path, signal: np.ndarray) -> None:
        np.save(tmp_path / "a.npy", signal)
        (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-8])
        with pytest.raises(DataError, match=r"a\.npy is broken: shape \(3, 400\)"):
            open_folder(tmp_path)

    def test_cut_or_missing_signal_file(self, tmp_path: Path, signal: np.ndarray) -> None:
        write_wfdb(tmp_path, "a", signal)
        (tmp_path / "a.dat").write_bytes((tmp_path / "a.dat").read_bytes()[:-40])
        with pytest.raises(DataError, match=r"a\.dat is truncated: a\.hea states 400 samples"):
            open_folder(tmp_path)
        (tmp_path / "a.dat").unlink()
        with pytest.raises(DataError, match=r"a\.hea names the signal file 'a\.dat'"):
            open_folder(tmp_path)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("time,II\n0,1\n0.1,oops\n0.2,3\n", "line 3: column 'II' has 'oops'"),
            ("time,II\n0,1\n0.1,1,9\n0.2,3\n", "cannot be read: line 3 has 3 cells"),
            ("time,II\n0,1,5\n0.1,2,5\n", "names 2 columns .* have 3"),
            ("0,1\n0.1,2\n", "starts with numbers"),
            ("time,II\n0,1\n0.1,2\n0.3,3\n0.4,3\n", "time column is not uniform"),
            ("time,II\n0,1\n,2\n0.2,3\n", "line 3: the time column has no number"),
            ("time,II\n0,1\n0,2\n0,3\n", "do not increase"),
            ("", "is empty"),
        ],
    )
    def test_bad_csv(self, tmp_path: Path, text: str, message: str) -> None:
        (tmp_path / "a.csv").write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=rf"a\.csv.*{message}"):
            open_folder(tmp_path)

    def test_broken_files_can_be_excluded(
        self, tmp_path: Path, signal: np.ndarray, caplog: pytest.LogCaptureFixture
    ) -> None:
        write_csv(tmp_path / "a.csv", signal)
        (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(DataError, match=r"1 of 2 files cannot be read.*\n.*b\.csv"):
            open_folder(tmp_path)
        assert len(open_folder(tmp_path, skip_unreadable=True).recordings) == 1
        assert "Skipped: " in caplog.text

    def test_file_that_changed_after_opening(self, tmp_path: Path, signal: np.ndarray) -> None:
        np.savez(tmp_path / "a.npz", X=signal, channels=NAMES, fs=100)
        source = open_folder(tmp_path)
        np.savez(tmp_path / "a.npz", X=signal[:, :10], channels=NAMES, fs=100)
        with pytest.raises(DataError, match=r"a\.npz changed"):
            source.read(0, 0, 5)


FUZZ = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FUZZ
@given(
    kind=st.sampled_from(["npy", "npz", "csv", "wfdb"]),
    positions=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    keep=st.floats(0, 1) | st.just(1.0),
)
def test_any_bytes_are_read_or_rejected(
    tmp_path: Path, kind: str, positions: list[tuple[float, int]], keep: float
) -> None:
    for old in tmp_path.iterdir():
        old.unlink()
    write_format(kind, tmp_path, np.arange(60, dtype=np.float32).reshape(3, 20) / 4)
    path = next(p for p in tmp_path.iterdir() if p.suffix in (".npy", ".npz", ".csv", ".hea"))
    data = bytearray(path.read_bytes())
    for position, value in positions:
        data[int(position * (len(data) - 1))] = value
    path.write_bytes(bytes(data[: int(keep * len(data))]))
    try:
        source = open_folder(tmp_path)
        assert np.shape(whole(source)) == (
            len(source.recordings[0].channel_names),
            source.recordings[0].num_samples,
        )
    except DataError as error:
        if str(tmp_path) not in str(error):
            raise

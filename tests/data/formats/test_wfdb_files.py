"""Signal files of WFDB records that end early or change."""

import logging
import warnings
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.data.formats.wfdb_record import read_full_record
from physio_mae_jax.errors import DataError
from tests.data.formats.wfdb_files import FRAMES, by_wfdb, write_bytes
from tests.folders import whole

with warnings.catch_warnings():
    # wfdb 4.3 calls pandas 3.1 with a keyword that it deprecates.
    warnings.filterwarnings("ignore", message="The inplace keyword")

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")


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

"""MATLAB files of version 5, written by scipy, against the arrays written."""

from pathlib import Path

import numpy as np
import wfdb
from scipy import io

from physio_mae_jax.data.formats.folder import open_folder

X = np.random.default_rng(7).normal(size=(2, 1500))


def test_samples_of_wfdb_headers_are_no_recordings(tmp_path: Path) -> None:
    wfdb.wrsamp("r", fs=100, units=["mV"], sig_name=["II"], p_signal=X[:1].T, fmt=["16"],
                write_dir=str(tmp_path))  # fmt: skip
    io.savemat(tmp_path / "r.mat", {"val": X})
    assert [info.channel_names for info in open_folder(tmp_path).recordings] == [("II",)]

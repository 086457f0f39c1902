"""Real text exports against numpy and pandas."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from tests.vendor_files import read_all, real_exports


def test_real_files(shared: Path) -> None:
    folder = real_exports(shared, "vendor")
    source = open_folder(folder / "biosppy")
    for index, name in enumerate(("ecg", "eeg_ec", "ppg", "resp")):
        wanted = np.loadtxt(folder / "biosppy" / f"{name}.txt", dtype=np.float32)
        assert source.recordings[index].sampling_rate_hz == (125 if "eeg" in name else 1000)
        np.testing.assert_array_equal(read_all(source, index)[0], wanted)
    source = open_folder(folder / "opensignals")
    raw = np.loadtxt(folder / "opensignals" / "SampleECG.txt")[:, 5]
    wanted = (raw / 1024 - 0.5) * 3.3 / 1100 * 1000
    np.testing.assert_allclose(read_all(source)[0], wanted, rtol=1e-5, atol=1e-6)
    path = folder / "shimmer" / "read_test_data.csv"
    frame = pd.read_csv(path, sep=";", skiprows=[0, 2]).dropna(axis=1, how="all")
    source = open_folder(folder / "shimmer")
    names = ["Accel_LN_X", "Accel_LN_Y", "Accel_LN_Z", "GSR_Skin_Conductance",
             "Gyro_X", "Gyro_Y", "Gyro_Z"]  # fmt: skip
    wanted = frame[[f"Shimmer_40AC_{name}_CAL" for name in names]].to_numpy(np.float32)
    np.testing.assert_array_equal(read_all(source), wanted.T)
    times = frame["Shimmer_40AC_Timestamp_Unix_CAL"].to_numpy()
    mean_hz = (len(times) - 1) * 1000 / (times[-1] - times[0])
    assert source.recordings[0].sampling_rate_hz == pytest.approx(mean_hz)

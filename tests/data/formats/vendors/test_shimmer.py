"""Text exports of Shimmer against the values written."""

import json
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.vendor_files import open_one, read_all

SHIMMER = {
    "Timestamp_Unix_CAL": "ms", "Accel_LN_X_CAL": "m/(s^2)", "Accel_WR_X_CAL": "m/(s^2)",
    "Battery_CAL": "mV", "ECG_LL-RA_24BIT_CAL": "mV", "ECG_LL-RA_24BIT_RAW": "no_units",
    "GSR_Skin_Conductance_CAL": "uS", "Mag_X_CAL": "local_flux",
}  # fmt: skip


def write_shimmer(folder: Path, delimiter=";", first='"sep=;"\n', jump_s=0.0) -> np.ndarray:
    """Write 900 samples at 128 Hz, stamped up to 30 ms late by the receiver."""
    rng = np.random.default_rng(4)
    values = rng.normal(size=(900, len(SHIMMER)))
    late = rng.uniform(0, 30, size=900)
    values[:, 0] = 1.6e12 + np.arange(900) / 128 * 1000 + late + 1000 * jump_s * (
        np.arange(900) > 500
    )  # fmt: skip
    rows = [[f"Shimmer_40AC_{name}" for name in SHIMMER], list(SHIMMER.values())]
    rows += [[f"{x:.4f}" for x in row] for row in values]
    lines = [delimiter.join(row) + delimiter for row in rows]
    (folder / "s.csv").write_text(first + "\n".join(lines) + "\n")
    return values.astype(np.float32)


@pytest.mark.parametrize(("delimiter", "first"), [(";", '"sep=;"\n'), ("\t", ""), (",", "sep=,\n")])
def test_shimmer(delimiter: str, first: str, tmp_path: Path, caplog) -> None:
    values = write_shimmer(tmp_path, delimiter, first)
    source = open_one(tmp_path)
    info = source.recordings[0]
    assert info.channel_names == ("ACC_X", "II", "EDA")
    assert info.units == ("m/s^2", "mV", "uS")
    assert info.sampling_rate_hz == pytest.approx(128, rel=0.01)
    np.testing.assert_allclose(read_all(source), values[:, [1, 4, 6]].T, atol=1e-4)
    assert "the columns 'Accel_WR_X', 'Mag_X' are not used" in caplog.text
    manifest = {"recordings": [{"file": "s.csv", "channels": {"Mag_X": "m", "II": "II"},
                                "sampling_rate_hz": 128}]}  # fmt: skip
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    source = open_folder(tmp_path)
    assert source.recordings[0].sampling_rate_hz == 128
    np.testing.assert_allclose(read_all(source), values[:, [7, 4]].T, atol=1e-4)


def test_broken_shimmer(tmp_path: Path) -> None:
    write_shimmer(tmp_path, jump_s=2.0)
    with pytest.raises(DataError, match=r"line 505: column .*Timestamp_Unix_CAL' jumps by 2"):
        open_folder(tmp_path)
    text = (tmp_path / "s.csv").read_text().replace("Timestamp_Unix", "Timestamp_Sync_Unix")
    (tmp_path / "s.csv").write_text(text.replace("m/(s^2);", "", 2))
    with pytest.raises(DataError, match=r"s\.csv"):
        open_folder(tmp_path)

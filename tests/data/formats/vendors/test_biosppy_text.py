"""Text exports of BioSPPy against numpy."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.vendor_files import open_one, read_all

COUNTS = np.random.default_rng(3).integers(0, 1024, size=(900, 2))


def write_biosppy(folder: Path, labels="ECG\tResp", more="# Resolution:= 12\n", rate="250.00"):
    head = f"# Simple Text Format\n# Sampling Rate (Hz):= {rate}\n{more}# Labels:= {labels}\n"
    rows = "".join("\t".join(f"{x:.1f}" for x in row) + "\n" for row in COUNTS)
    (folder / "r.txt").write_text(head + rows)


def test_biosppy(tmp_path: Path, caplog) -> None:
    write_biosppy(tmp_path)
    source = open_one(tmp_path)
    info = source.recordings[0]
    assert (info.channel_names, info.units) == (("ECG", "RESP"), ("", ""))
    assert info.sampling_rate_hz == 250
    np.testing.assert_array_equal(read_all(source), COUNTS.T)
    assert "counts of a converter (12 bits)" in caplog.text
    packed = gzip.compress((tmp_path / "r.txt").read_bytes())
    (tmp_path / "r.txt").unlink()
    (tmp_path / "r.txt.gz").write_bytes(packed)
    np.testing.assert_array_equal(read_all(open_folder(tmp_path)), COUNTS.T)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate": "fast"}, "'# Sampling Rate .Hz.:=' reads 'fast'; a number"),
        ({"rate": "nan"}, "reads 'nan'"),
        ({"rate": "0.01"}, "0.01 Hz of ECG, Resp is not plausible"),
        ({"labels": "ECG"}, "names 1 columns, line 5 has 2"),
        ({"labels": "ECG\tECG"}, "2 channels named 'ECG'"),
    ],
)
def test_broken_biosppy(change: dict, message: str, tmp_path: Path) -> None:
    write_biosppy(tmp_path, **change)
    with pytest.raises(DataError, match=message) as error:
        open_folder(tmp_path)
    assert str(tmp_path / "r.txt") in str(error.value)
    path = tmp_path / "r.txt"
    write_biosppy(tmp_path)
    path.write_text(path.read_text() + "1.0\tx\n")
    with pytest.raises(DataError, match=r"line 905: column 'Resp' has 'x' where a number"):
        open_folder(tmp_path)
    path.write_text("# Simple Text Format\n# Sampling Rate (Hz):= 250\n# Labels:= ECG\n")
    with pytest.raises(DataError, match=r"r\.txt"):
        open_folder(tmp_path)

"""Headers of EDF and BDF files as recorders write them."""

from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.edf_header import looks_like_edf
from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.units import canonical_unit
from tests.data.formats.edf_files import channel, edf_bytes, opened
from tests.folders import whole


def test_edf_by_its_older_ending(tmp_path: Path) -> None:
    source = opened(tmp_path, edf_bytes([channel(50, label="II")]), "night.REC")
    assert source.recordings[0].record_id == "night"
    (tmp_path / "other.rec").write_text("0,36.8,37.8,6\n")
    (tmp_path / "font.bdf").write_text("STARTFONT 2.1\n")
    assert not looks_like_edf(tmp_path / "other.rec")
    assert len(open_folder(tmp_path).recordings) == 1


@pytest.mark.parametrize("unit", ["µV", "μV", "uV", "°C"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_units_are_decoded(tmp_path: Path, unit: str, encoding: str) -> None:
    try:
        written = unit.encode(encoding)
    except UnicodeEncodeError:
        return
    source = opened(tmp_path, edf_bytes([channel(50, label="Fp1", unit=written)]))
    assert source._files[0].units == (canonical_unit(unit),)


def test_decimal_commas(tmp_path: Path) -> None:
    part = channel(50, label="II", physical=("-3276,8", "3276,7"))
    comma = whole(opened(tmp_path, edf_bytes([part])))
    point = part._replace(physical=("-3276.8", "3276.7"))
    np.testing.assert_array_equal(comma, whole(opened(tmp_path, edf_bytes([point]))))
    with pytest.raises(DataError, match=r"'II' maps samples .* onto values 1\.234,5 to 9, which"):
        opened(tmp_path, edf_bytes([part._replace(physical=("1.234,5", "9"))]))


def test_recordings_that_were_not_finished(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    part = channel(50, label="II")
    data = edf_bytes([part], num_records="-1")
    assert opened(tmp_path, data).recordings[0].num_samples == 1000
    assert "a.edf: the recording was not finalized" in caplog.text
    for broken, message in (
        (data[:-2], "19 records and 98 bytes"),
        (data[:512], "0 records and 0 bytes"),
    ):
        with pytest.raises(DataError, match=rf"a\.edf was not finalized: .* {message}"):
            opened(tmp_path, broken)


def test_zero_bytes_stand_for_blanks(tmp_path: Path) -> None:
    data = edf_bytes([channel(50, label="II")])
    header, samples = data[:512], data[512:]
    assert (
        opened(tmp_path, header.replace(b"  ", b" \0") + samples).recordings[0].num_samples == 1000
    )

"""The start of a recording in headers; one that cannot be read is no error."""

import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.data.formats.start_time import edf_start_time, wfdb_start_time
from tests.data.formats.vendors.test_ishne import ishne


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10:15:00 31/12/2025", "2025-12-31T10:15:00"),
        ("[9:5:59.25 1/2/1999]", "1999-02-01T09:05:59.250000"),
        ("10:15:00", ""),
        ("10:15:00 31/02/2025", ""),
        ("25:15:00 31/12/2025", ""),
        ("10:15:00 1/1/0000", ""),
        ("noon", ""),
        ("", ""),
    ],
)
def test_wfdb(text, expected):
    assert wfdb_start_time(text) == expected


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        ("01.02.03", "04.05.06", "2003-02-01T04:05:06"),
        ("31.12.85", "23:59:59", "1985-12-31T23:59:59"),
        ("01.01.85", "00.00.00", ""),
        ("01.13.03", "04.05.06", ""),
        ("1.2.2003", "04.05.06", ""),
        ("", "", ""),
    ],
)
def test_edf(date, time, expected):
    assert edf_start_time(date, time) == expected


def test_ishne(tmp_path):
    (tmp_path / "h.ecg").write_bytes(ishne())
    assert open_folder(tmp_path).recordings[0].start_time == "2001-02-02T10:00:00"


@pytest.mark.parametrize("length", ["60 ", ""])
def test_a_wfdb_header_with_and_without_a_length(tmp_path, length):
    (tmp_path / "a.hea").write_text(
        f"a 1 100 {length}10:15:00 31/12/2025\na.dat 16 200 12 0 0 0 0 I\n"
    )
    (tmp_path / "a.dat").write_bytes(bytes(120))
    assert open_folder(tmp_path).recordings[0].start_time == "2025-12-31T10:15:00"

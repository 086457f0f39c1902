"""What stands above the samples of a text table."""

import logging
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.csv_table import probe_csv
from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.errors import DataError
from tests.data.formats.text_tables import assert_read, lines
from tests.folders import whole
from tests.tables import noise, write_text

WATCH = (
    "Name,Jane Doe\nDate of Birth,1 Jan 1950\nRecorded Date,2020-01-01 10:00:00 +0100\n"
    "Classification,Sinus Rhythm\nSymptoms,\nSoftware Version,1.90\nDevice,Watch\n"
    "Sample Rate,512 hertz\n\n\nLead,Lead I\nUnit,µV\n\n\n"
)


@pytest.mark.parametrize(
    ("head", "delimiter", "decimal"),
    [
        ("time,II,PPG\n", ",", "."),
        ("time;II;PPG\n", ";", ","),
        ("time;II;PPG\n", ";", "."),
        ("time\tII\tPPG\n", "\t", ","),
        ("sep=;\ntime;II;PPG\n", ";", ","),
        ('"sep=;"\ntime;II;PPG\ns;mV;n/a\n', ";", "."),
        ("sep=|\ntime|II|PPG\n", "|", "."),
        ("% recorded by John Doe\n%Number of channels = 2\ntime,II,PPG\n", ",", "."),
        ("# a comment\n\n// and another\ntime, II, PPG\n", ",", "."),
        ("# time,II,PPG\n", ",", "."),
        ("\n\ntime,II,PPG\n\n", ",", "."),
        ('"time",\'II\',"PPG"\n', ",", "."),
        ("'Elapsed time','MLII','PLETH'\n's','mV','NU'\n", ",", "."),
        ("Subject: John Doe\nSampling rate: 125 Hz\ntime,II,PPG\n", ",", "."),
        ("Patient;John Doe\nAge;54\ntime;II;PPG\n", ";", "."),
        ("time (s),II [mV],PPG (V)\n", ",", "."),
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_dialects(head: str, delimiter: str, decimal: str, ends: str, tmp_path: Path) -> None:
    write_text(tmp_path, (head + lines(delimiter, decimal)).replace("\n", ends))
    assert_read(tmp_path)


def test_a_line_of_missing_samples_is_no_line_of_units(tmp_path: Path) -> None:
    write_text(tmp_path, "time_s,II\n0,NA\n0.01,1\n0.02,2\n")
    np.testing.assert_array_equal(whole(open_folder(tmp_path)), [[np.nan, 1, 2]])


class TestPreamble:
    def test_an_export_of_a_watch(self, tmp_path: Path) -> None:
        path = write_text(tmp_path, WATCH + "0.754\n-0.793\n1\n")
        source = open_folder(tmp_path)
        (info,) = source.recordings
        assert (info.channel_names, info.sampling_rate_hz) == (("I",), 512.0)
        np.testing.assert_array_equal(whole(source), np.float32([[0.754, -0.793, 1]]))
        assert probe_csv(path, ManifestEntry(label="t", file="t.csv")).units == ("µV",)
        write_text(tmp_path, WATCH + "0,754\n-0,793\n1,5\n", channels={"I": "II"})
        source = open_folder(tmp_path)
        assert source.recordings[0].channel_names == ("II",)
        np.testing.assert_array_equal(whole(source), np.float32([[0.754, -0.793, 1.5]]))

    def test_a_single_column_without_a_name(self, tmp_path: Path) -> None:
        text = WATCH.replace("Lead,Lead I\n", "") + "1\n2\n3\n"
        write_text(tmp_path, text)
        with pytest.raises(DataError, match="the names of its channels"):
            open_folder(tmp_path)
        write_text(tmp_path, text, channels=["II"])
        assert open_folder(tmp_path).recordings[0].channel_names == ("II",)

    def test_comments_that_tell_the_rate(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A board that sends its samples ten at a time."""
        head = "%OpenBCI Raw EEG Data\n%Number of channels = 1\n%Sample Rate = 250 Hz\n"
        rows = [f"{i % 256}, {x}, {16e8 + i // 10 * 0.04:.3f}" for i, x in enumerate(noise())]
        write_text(tmp_path, f"{head}Sample Index, EXG Channel 0, Board time\n" + "\n".join(rows))
        with caplog.at_level(logging.WARNING):
            (info,) = open_folder(tmp_path).recordings
        assert (info.channel_names, info.sampling_rate_hz) == (("EXG Channel 0",), 250.0)
        assert "'Sample Index', 'Board time'" in caplog.text
        write_text(tmp_path, f"{head}Sample Index, EXG Channel 0, Timestamp\n" + "\n".join(rows))
        with pytest.raises(DataError, match="not uniform"):
            open_folder(tmp_path)

    @pytest.mark.parametrize("manifest", [{}, {"channels": ["I"], "sampling_rate_hz": 512}])
    @pytest.mark.parametrize(
        "text",
        [
            WATCH.replace("Sample Rate,512 hertz\n", "") + "1\n2\n",
            WATCH.replace("Lead,Lead I\n", "") + "1,2\n2,3\n",
            WATCH,
            "Name,Jane Doe\nII\n",
            "Jane Doe\n1 Jan 1950\n",
            "Jane Doe;II\nJane Doe;a\nJane Doe;b\n",
            "# Jane Doe\n1\n2\n",
            "Jane Doe,Jane Doe\n1,2\n1,2,3\nJane Doe,2\n",
        ],
    )
    def test_no_cell_of_a_head_is_printed(self, text: str, manifest, tmp_path: Path) -> None:
        write_text(tmp_path, text, **manifest)
        with pytest.raises(DataError) as raised:
            open_folder(tmp_path)
        said = str(raised.value)
        assert "t.csv" in said
        assert "Jane" not in said or text.startswith("Jane Doe,Jane Doe\n1,2")
        assert "1950" not in said

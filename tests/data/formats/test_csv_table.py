"""What stands above the samples of a text table, and how its cells are written."""

import codecs
import csv
import gzip
import logging
import tracemalloc
from pathlib import Path

import numpy as np
import pandas
import pytest

from physio_mae_jax.data.formats.csv_table import load_csv, probe_csv
from physio_mae_jax.data.formats.folder import draft_manifest, open_folder
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.errors import DataError
from tests.data.formats.test_folder import whole
from tests.tables import NUM_SAMPLES, noise, times_s, write_text

SIGNAL = np.float32([noise(), noise(1)])
WATCH = (
    "Name,Jane Doe\nDate of Birth,1 Jan 1950\nRecorded Date,2020-01-01 10:00:00 +0100\n"
    "Classification,Sinus Rhythm\nSymptoms,\nSoftware Version,1.90\nDevice,Watch\n"
    "Sample Rate,512 hertz\n\n\nLead,Lead I\nUnit,µV\n\n\n"
)


def lines(delimiter: str = ",", decimal: str = ".", rate_hz: float = 125.0) -> str:
    rows = zip(times_s(rate_hz=rate_hz), noise(), noise(1), strict=True)
    texts = ([f"{value:.4f}".replace(".", decimal) for value in row] for row in rows)
    return "\n".join(delimiter.join(row) for row in texts) + "\n"


def assert_read(folder: Path, rate_hz: float = 125.0) -> None:
    source = open_folder(folder)
    (info,) = source.recordings
    assert (info.channel_names, info.sampling_rate_hz) == (("II", "PPG"), rate_hz)
    np.testing.assert_allclose(whole(source), SIGNAL, atol=1e-6)


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


@pytest.mark.parametrize(
    "encoded",
    [
        lambda text: codecs.BOM_UTF8 + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace("PPG", "PPG (µV)").encode("latin-1"),
        lambda text: text.replace("PPG", "PPG (µV)").encode("utf-8"),
    ],
)
def test_encodings(encoded, tmp_path: Path) -> None:
    write_text(tmp_path, encoded("time,II,PPG\n" + lines()))
    assert_read(tmp_path)


def test_quoted_decimal_commas_between_commas(tmp_path: Path) -> None:
    rows = [[f'"{cell}"'.replace(".", ",") for cell in row.split(",")] for row in lines().split()]
    write_text(tmp_path, "time,II,PPG\n" + "\n".join(map(",".join, rows)))
    assert_read(tmp_path)


def test_commas_and_points_are_not_mixed(tmp_path: Path) -> None:
    filling = "".join(f"0,{i:03d};1,5\n" for i in range(300))
    write_text(tmp_path, f"time;II\n{filling}0,300;1.234\n")
    with pytest.raises(DataError, match=r"line 302: column 'II' has '1\.234'"):
        open_folder(tmp_path)
    write_text(tmp_path, "time;II\n0.00;1.5\n0.01;2,5\n")
    with pytest.raises(DataError, match=r"line 3: column 'II' has '2,5' .*Decimal commas"):
        open_folder(tmp_path)


def test_a_line_of_missing_samples_is_no_line_of_units(tmp_path: Path) -> None:
    write_text(tmp_path, "time_s,II\n0,NA\n0.01,1\n0.02,2\n")
    np.testing.assert_array_equal(whole(open_folder(tmp_path)), [[np.nan, 1, 2]])


@pytest.mark.parametrize("name", ["t.tsv", "t.txt", "t.csv.gz", "t.tsv.gz"])
def test_other_endings(name: str, tmp_path: Path) -> None:
    delimiter = "\t" if ".tsv" in name else ","
    text = delimiter.join(("time", "II", "PPG")) + "\n" + lines(delimiter)
    data = gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()
    write_text(tmp_path, data, name)
    assert_read(tmp_path)
    # Beside recordings of other formats they are notes, unless a manifest lists them.
    write_text(tmp_path, "time,II,PPG\n" + lines(), "r.csv")
    assert len(open_folder(tmp_path).recordings) == 1
    write_text(tmp_path, data, name, channels=["PPG"])
    assert open_folder(tmp_path).recordings[0].channel_names == ("PPG",)


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


class TestBounds:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("time," + "a" * 2_000_000 + "\n0,1\n", "more than 1000000 characters"),
            ("time,II\n0,1\n0.1," + "1" * 2_000_000, "more than 1000000 characters"),
            ("time,II\n0,1\n" + "," * 2_000_000, "more than 1000000 characters"),
            ("," * 900_000 + "\n" + "1," * 400_000 + "\n", "at most 4096"),
            ("time," + "a" * 5000 + "\n0,1\n", "more than 500 characters"),
            ("time,II\n0,1\n0.1,\0\0\0\n", "NUL bytes"),
            ("time,II\n0,1\n0.1,2\0 3\n", "NUL bytes"),
            ('time,II\n0,1\n0.1,"2\n0.2,3\n', "cannot be read"),
            ("time,II\n0,1\n0.1,1,9\n0.2,3\n", "line 3 has 3 cells, where 2"),
            ("\n" * 1000, "is empty"),
        ],
    )
    def test_what_is_no_table_is_rejected(self, text: str, message: str, tmp_path: Path) -> None:
        write_text(tmp_path, text)
        with pytest.raises(DataError, match=rf"t\.csv.*{message}"):
            open_folder(tmp_path)

    def test_memory_for_a_long_table(self, tmp_path: Path) -> None:
        text = "time_ms,EDA\n" + "".join(f"{i},1\n" for i in range(300_000))
        path = write_text(tmp_path, text)
        entry = ManifestEntry(label="t", file="t.csv")
        probe_csv(path, entry)
        for work in (lambda: probe_csv(path, entry), lambda: load_csv(path, (1,))):
            tracemalloc.start()
            work()
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 10 * len(text)

    def test_archives_that_expand_without_bound(self, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.setattr("physio_mae_jax.data.formats.csv_text._FREE_BYTES", 1000)
        write_text(tmp_path, gzip.compress(b"time,II\n" + b"0,1\n" * 3_000_000), "t.csv.gz")
        with pytest.raises(DataError, match=r"t\.csv\.gz expands to more than"):
            open_folder(tmp_path)
        for damaged in (b"no archive", gzip.compress(b"time,II\n0,1\n" * 99)[:-20]):
            write_text(tmp_path, damaged, "t.csv.gz")
            with pytest.raises(DataError, match=r"t\.csv\.gz cannot be read"):
                open_folder(tmp_path)


def test_values_are_those_of_pandas(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(500, 3)) * 10.0 ** rng.integers(-12, 12, (500, 3))
    values[rng.random((500, 3)) < 0.05] = np.nan
    frame = pandas.DataFrame(values, columns=["II", "PPG", "RESP"])
    frame["EDA"] = rng.integers(-(2**40), 2**40, 500)
    for float_format, quoting in (("%.17g", csv.QUOTE_MINIMAL), ("%.6e", csv.QUOTE_ALL)):
        path = tmp_path / "t.csv"
        frame.to_csv(path, index=False, float_format=float_format, quoting=quoting)
        expected = pandas.read_csv(path).to_numpy(np.float64).astype(np.float32)
        np.testing.assert_array_equal(load_csv(path, (0, 1, 2, 3)), expected)


def test_a_last_row_without_samples_is_a_row(tmp_path: Path) -> None:
    write_text(tmp_path, "time,II\n0.1,1\n0.2,2\n0.3,\n\n\n")
    np.testing.assert_array_equal(whole(open_folder(tmp_path)), [[1, 2, np.nan]])


def test_delimiters_at_the_ends_of_lines(tmp_path: Path) -> None:
    body = lines().replace("\n", ",\n")
    for head in ("time,II,PPG\n", "time,II,PPG,\n"):
        write_text(tmp_path, head + body)
        assert_read(tmp_path)
    write_text(tmp_path, "time,II,PPG,\n" + lines())
    assert_read(tmp_path)
    assert draft_manifest(tmp_path) == {"recordings": [{"file": "t.csv"}]}
    assert open_folder(tmp_path).recordings[0].num_samples == NUM_SAMPLES

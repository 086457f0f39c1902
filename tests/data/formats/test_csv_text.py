"""Text tables of any encoding and line ending, within bounds."""

import codecs
import gzip
import tracemalloc
from pathlib import Path

import pytest

from physio_mae_jax.data.formats.csv_table import load_csv, probe_csv
from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.errors import DataError
from tests.data.formats.text_tables import assert_read, lines
from tests.tables import write_text


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

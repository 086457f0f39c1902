"""Cells of text tables are read as they are written, whatever delimits them."""

import csv
from pathlib import Path

import numpy as np
import pandas
import pytest

from physio_mae_jax.data.formats.csv_table import load_csv
from physio_mae_jax.data.formats.folder import draft_manifest, open_folder
from physio_mae_jax.errors import DataError
from tests.data.formats.text_tables import assert_read, lines
from tests.folders import whole
from tests.tables import NUM_SAMPLES, write_text


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


def test_missing_samples_of_a_csv_stay_in_place(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time;II;PPG\n0;1;2\n0.1;;3\n0.2;4;5\n\n", encoding="utf-8")
    source = open_folder(tmp_path)
    assert source.recordings[0].sampling_rate_hz == 10.0
    np.testing.assert_array_equal(whole(source), np.array([[1, np.nan, 4], [2, 3, 5]]))

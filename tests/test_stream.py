"""The command that encodes a signal while it is received."""

import io
import json
import sys

import numpy as np
import pytest

from physio_mae_jax import stream
from tests.encoders import beats, encoder

GIVEN = ["--sampling_rate_hz=100", "--channels=II,PPG", "--hop_seconds=2"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "made"
    encoder().save_pretrained(folder)
    return folder


@pytest.fixture
def lines(tmp_path):
    """Write a file of lines: single samples, then pieces, with a missing value."""
    values = beats(9, 100, leads=2)
    parts = [values[:, number].tolist() for number in range(5)]
    parts += [values[:, begin : begin + 100].tolist() for begin in range(5, 900, 100)]
    parts[-1][0][-1] = None
    path = tmp_path / "signal.jsonl"
    path.write_text("".join(f"{json.dumps(part)}\n" for part in parts))
    values[0, -1] = np.nan
    return path, values


def rows_of(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_lines_are_encoded_as_the_signal(model, lines, capsys, monkeypatch):
    path, values = lines
    assert stream.main([f"--model={model}", f"--input={path}", *GIVEN]) == 0
    rows = rows_of(capsys)
    assert [row["start_seconds"] for row in rows] == [0, 2, 4, 5]
    assert [row["rejected"] for row in rows] == ["", "", "", "gap"]
    assert rows[-1]["embedding"] is None
    given = {"sampling_rate_hz": 100, "channels": ["II", "PPG"], "rows": "window"}
    wanted = encoder().encode(values, on_invalid="skip", **given)[0]
    found = np.asarray([row["embedding"] for row in rows[:3]])
    np.testing.assert_allclose(found, wanted[:3], atol=1e-5)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    assert stream.main([f"--model={model}", "--input=stdin", *GIVEN]) == 0
    assert rows_of(capsys) == rows


def test_a_recording_describes_itself(model, tmp_path, capsys):
    path = tmp_path / "a.csv"
    np.savetxt(path, beats(5, 100, leads=2).T, delimiter=",", header="II,PPG", comments="")
    arguments = [f"--model={model}", f"--input={path}", "--sampling_rate_hz=100"]
    assert stream.main([*arguments, "--output=columns"]) == 0
    rows = rows_of(capsys)
    assert [row["end_seconds"] for row in rows] == [4, 5]
    assert np.shape(rows[0]["embedding"]) == (20, 32)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1", "line 1 of the input is 1; give an array of a number for each channel"),
        ('["a", 1]', "line 1 of the input"),
        ("[[1, 2], [3]]", "line 1 of the input"),
        ("[1, 2, 3]", "[2, n] is expected, a row for each of II, PPG"),
        ("[1, NaN]", "line 1 of the input"),
    ],
)
def test_a_wrong_line_is_named(model, line, message, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(line.encode())))
    assert stream.main([f"--model={model}", "--input=stdin", *GIVEN]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ending", "libraries"),
    [
        (".onnx", ("onnx", "onnxruntime")),
        (".tflite", ("litert_converter", "ai_edge_litert.interpreter")),
    ],
)
def test_a_graph_is_encoded_as_by_its_model(model, ending, libraries, tmp_path, lines, capsys):
    for name in libraries:
        pytest.importorskip(name)
    path = encoder().export_edge(tmp_path / f"m{ending}", num_channels=2)
    assert stream.main([f"--model={model}", f"--input={lines[0]}", *GIVEN]) == 0
    wanted = rows_of(capsys)
    assert stream.main([f"--model={path}", f"--input={lines[0]}", *GIVEN]) == 0
    rows = rows_of(capsys)
    assert [row["rejected"] for row in rows] == ["", "", "", "gap"]
    for row, other in zip(rows[:3], wanted, strict=False):
        np.testing.assert_allclose(row["embedding"], other["embedding"], atol=1e-4)
    assert stream.main([f"--model={path}", "--input=stdin", "--output=columns", *GIVEN]) == 2
    assert "output is 'columns', but the graph computes 'pooled'" in capsys.readouterr().err


def test_lines_without_a_description_are_named(model, lines, capsys):
    arguments = [f"--model={model}", f"--input={lines[0]}", "--sampling_rate_hz=100"]
    assert stream.main(arguments) == 2
    assert "--channels is missing. Give both, such as" in capsys.readouterr().err
    assert stream.main([*arguments[:2], "--channels=II"]) == 2
    assert "--sampling_rate_hz is missing" in capsys.readouterr().err


def test_a_file_that_is_no_graph_is_named(tmp_path, capsys):
    (tmp_path / "m.pt").write_bytes(b"")
    assert stream.main([f"--model={tmp_path / 'm.pt'}", "--input=stdin", *GIVEN]) == 2
    assert "m.pt ends in '.pt'; .onnx or .tflite is expected" in capsys.readouterr().err


@pytest.mark.parametrize("ending", [".onnx", ".tflite"])
def test_a_graph_without_contract_is_named(ending, tmp_path, capsys):
    assert stream.main([f"--model={tmp_path / f'n{ending}'}", "--input=stdin", *GIVEN]) == 2
    assert f"n{ending}.json" in capsys.readouterr().err

"""Encoding on a device gives the embeddings and the report of the encoder."""

import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.signals import preprocess
from tests.encoders import beats, encoder

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from physio_mae_jax.inference.edge.runtime import EdgeEncoder

LEADS = ("II", "PPG")
GIVEN = {"sampling_rate_hz": 250, "channels": LEADS}


@pytest.fixture(scope="module")
def made():
    return encoder()


@pytest.fixture(scope="module")
def loaded(made, tmp_path_factory):
    """Return an encoder with a graph of each output."""
    folder = tmp_path_factory.mktemp("edge")
    return {
        output: EdgeEncoder.load(
            made.export_edge(folder / f"{output}.onnx", num_channels=3, output=output)
        )
        for output in ("embedding", "columns")
    }


def signal(seconds: float = 11.3) -> np.ndarray:
    """Return beats and noise [2, n] at 250 Hz."""
    values = beats(seconds, 250, leads=2)
    return values + 0.1 * np.random.default_rng(1).normal(size=values.shape)


def alike(found, wanted) -> None:
    """Compare embeddings to the tolerance of a graph."""
    scale = np.nanmax(np.abs(wanted))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("rows", ["recording", "window"])
def test_embeddings_and_report_are_those_of_the_encoder(made, loaded, rows):
    signals = [signal(), signal(9.0)[:1], signal(8.0)]
    signals[2][1, :700] = np.nan
    given = GIVEN | {"channels": [LEADS, LEADS[:1], LEADS], "rows": rows, "on_invalid": "skip"}
    found = loaded["embedding"].encode_with_report(signals, **given)
    wanted = made.encode_with_report(signals, **given)
    for one, other in zip(found.embeddings, wanted.embeddings, strict=True):
        alike(one, other)
    assert str(found.report) == str(wanted.report)
    assert found.report.channels == wanted.report.channels
    assert loaded["embedding"].channels == made.channels


def test_columns_are_those_of_the_encoder(made, loaded):
    given = GIVEN | {"output": "columns"}
    alike(loaded["columns"].encode(signal(), **given), made.encode(signal(), **given))
    with pytest.raises(ConfigError, match="output is 'pooled', but the graph computes 'columns'"):
        loaded["columns"].encode(signal(), **GIVEN)


def test_a_file_is_encoded_as_an_array(loaded, tmp_path):
    np.savetxt(tmp_path / "a.csv", signal().T, delimiter=",", header=",".join(LEADS), comments="")
    found = loaded["embedding"].encode_file(tmp_path / "a.csv", sampling_rate_hz=250)
    alike(found.embeddings, loaded["embedding"].encode(signal(), **GIVEN))


def test_a_stream_is_that_of_the_encoder(made, loaded, tmp_path):
    given = GIVEN | {"hop_seconds": 1.0}
    wanted = made.stream(**given)
    rows = [*wanted.push(signal()), *wanted.flush()]
    found = []
    stream = loaded["embedding"].stream(**given)
    for begin in range(0, 2825, 113):
        found += stream.push(signal()[:, begin : begin + 113])
        stream = loaded["embedding"].stream(**given).resume(stream.save(tmp_path / "state"))
    found += stream.flush()
    assert [row.start_seconds for row in found] == [row.start_seconds for row in rows]
    alike([row.embedding for row in found], [row.embedding for row in rows])
    with pytest.raises(DataError, match="is of a stream with model="):
        made.stream(**given).resume(tmp_path / "state")
    short = loaded["embedding"].stream(**given)
    short.push(signal()[:, :500])
    with pytest.raises(DataError, match="the stream is shorter than a window of 4 s"):
        short.flush()


def test_without_scipy_signals_are_interpolated(loaded, monkeypatch):
    wanted = loaded["embedding"].encode(signal(), **GIVEN)
    monkeypatch.setattr(preprocess, "_scipy_signal", lambda: None)
    found = loaded["embedding"].encode(signal(), **GIVEN)
    assert 0 < np.abs(found - wanted).max() < 2e-3 * np.abs(wanted).max()


def test_what_a_graph_cannot_encode_is_named(loaded):
    with pytest.raises(DataError, match=r"4 channels .* takes at most 3; export it with"):
        loaded["embedding"].encode(
            beats(5, 100, leads=4), sampling_rate_hz=100, channels=["I", "II", "III", "V1"]
        )
    with pytest.raises(DataError, match="takes at most 3"):
        loaded["embedding"].stream(sampling_rate_hz=100, channels=["I", "II", "III", "V1"])
    with pytest.raises(DataError, match="recording 0 is shorter than a window of 4 s"):
        loaded["embedding"].encode(signal(2.0), **GIVEN)
    with pytest.raises(ConfigError, match="num_threads"):
        EdgeEncoder.load("m.onnx", num_threads=0)
    with pytest.raises(DataError, match=r"m\.onnx\.json"):
        EdgeEncoder.load("m.onnx")

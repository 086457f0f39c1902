"""Graphs of LiteRT agree with JAX, and nothing else is written."""

import sys

import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.inference.edge import litert
from physio_mae_jax.inference.edge.contract import read_edge_model
from physio_mae_jax.inference.edge.head_graph import GRAPH_HEADS
from physio_mae_jax.inference.edge.runtime import EdgeClassifier, EdgeEncoder
from tests.classifiers import DECISIONS, classifier
from tests.encoders import beats, encoder

GIVEN = {"sampling_rate_hz": 250, "channels": ["II", "PPG"]}
JOINT = {"encoder_attention": "joint", "decoder_attention": "joint"}


@pytest.fixture
def converter():
    pytest.importorskip("ai_edge_litert.interpreter")
    return pytest.importorskip("litert_converter")


@pytest.mark.parametrize(
    ("changes", "channels"),
    [
        ({}, 1),
        ({}, 2),
        ({}, 12),
        ({"channel_smoothing": False, "waveform_branch": False}, 3),
        ({**JOINT, "class_token": True, "rotary_positions": "token"}, 2),
    ],
    ids=str,
)
def test_a_graph_agrees_with_jax(changes, channels, tmp_path, converter):
    path = encoder(**changes).export_edge(tmp_path / "m.tflite", num_channels=channels)
    graph, contract = read_edge_model(path)
    assert graph[4:8] == b"TFL3"
    assert (contract.runtime, contract.opset) == ("litert", 0)
    assert 0 < contract.card.float32_agreement.relative_error < 1e-5
    assert sorted(contract.card.versions) == ["ai_edge_litert", "jax", "litert_converter"]
    assert sorted(contract.card.latency) == ["float32", "jax"]


def test_embeddings_and_streams_are_those_of_the_encoder(tmp_path, converter):
    made = encoder()
    device = EdgeEncoder.load(made.export_edge(tmp_path / "m.tflite", num_channels=3))
    signal = beats(11.3, 250, leads=2)
    wanted = made.encode(signal, **GIVEN)
    found = device.encode(signal, **GIVEN)
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())
    rows = [*(stream := device.stream(**GIVEN)).push(signal), *stream.flush()]
    by_window = made.encode(signal, rows="window", **GIVEN)[0]
    np.testing.assert_allclose(
        [row.embedding for row in rows], by_window, atol=1e-5 * np.abs(by_window).max()
    )


@pytest.mark.parametrize("kind", GRAPH_HEADS)
def test_classes_are_those_of_the_classifier(kind, tmp_path, converter):
    made = classifier(DECISIONS["two classes"], kind=kind)
    device = EdgeClassifier.load(made.export_edge(tmp_path / "m.tflite", num_channels=2))
    signals = [beats(9.0, 250, leads=2, seed=seed) for seed in range(3)]
    found, wanted = device.predict(signals, **GIVEN), made.predict(signals, **GIVEN)
    np.testing.assert_allclose(found.probabilities, wanted.probabilities, atol=1e-5)


def test_a_converter_that_computes_something_else_is_caught(tmp_path, converter, monkeypatch):
    convert = litert.converted

    def merged(program: str, names: list[str]) -> bytes:
        """Exchange two axes of the same size of a transpose, as a wrong merge did."""
        right, wrong = "dims = [0, 4, 2, 1, 3, 5]", "dims = [0, 4, 3, 1, 2, 5]"
        assert program.count(right) == 1
        return convert(program.replace(right, wrong), names)

    monkeypatch.setattr(litert, "converted", merged)
    with pytest.raises(DataError, match=r"the graph differs from JAX by .* of the largest output"):
        encoder().export_edge(tmp_path / "m.tflite", num_channels=1)
    assert not list(tmp_path.iterdir())


def test_what_has_no_form_is_named(tmp_path, converter):
    with pytest.raises(DataError, match=r"the converter of LiteRT rejects the model \("):
        litert.converted("no program", [])
    with pytest.raises(ConfigError, match=r"'int8', which LiteRT graphs do not have; give a path"):
        encoder().export_edge(tmp_path / "m.tflite", precision="int8")
    path = encoder().export_edge(tmp_path / "m.tflite", num_channels=1)
    graph = path.read_bytes()
    path.write_bytes(graph[:-8])
    with pytest.raises(DataError, match=r"m\.tflite is damaged, or is not the graph of"):
        EdgeEncoder.load(path)


def test_the_ending_chooses_the_library(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"m\.pb ends in '\.pb'; \.onnx or \.tflite is expected"):
        encoder().export_edge(tmp_path / "m.pb")
    monkeypatch.setitem(sys.modules, "litert_converter", None)
    with pytest.raises(UserError, match=r"litert_converter.*install \"physio_mae_jax\[litert\]\""):
        encoder().export_edge(tmp_path / "m.tflite")
    assert not list(tmp_path.iterdir())

"""Graphs in 8 bits keep the embeddings of windows that they were not calibrated with."""

import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference.edge import export
from physio_mae_jax.inference.edge.calibration import (
    CalibrationSource,
    CalibrationWindows,
    calibration_windows,
)
from physio_mae_jax.inference.edge.contract import read_edge_model
from physio_mae_jax.inference.edge.edge_model import EdgeModel
from tests.classifiers import DECISIONS, classifier
from tests.encoders import beats, encoder

GIVEN = {"sampling_rate_hz": 100, "channels": ["II", "PPG"]}


def recordings(count: int = 6, seconds: float = 68.0) -> list[np.ndarray]:
    """Return recordings [2, n] that all differ."""
    rng = np.random.default_rng(0)
    noise = 0.3 * rng.normal(size=(count, 2, round(seconds * 100)))
    return [beats(seconds, 100, leads=2, seed=seed) + one for seed, one in enumerate(noise)]


def windows_of(signals: object, num_channels: int | None) -> CalibrationWindows:
    """Return the windows for calibration of recordings."""
    model = encoder().input
    given = CalibrationSource.of(signals, None, GIVEN, model, None)
    return calibration_windows(given, model, num_channels)


@pytest.fixture
def onnx():
    pytest.importorskip("onnxruntime")
    return pytest.importorskip("onnx")


def test_linear_layers_have_eight_bits(tmp_path, onnx, capfd, monkeypatch):
    # Random weights, and windows of one kind: neighbors are nearly equally far away.
    monkeypatch.setattr(export, "require_int8", lambda found: None)
    monkeypatch.setattr(export, "require_small", lambda *sizes: None)
    path = encoder(width=64).export_edge(
        tmp_path / "m.onnx", precision="int8", calibration=recordings(), **GIVEN
    )
    assert capfd.readouterr().out == ""
    graph, contract = read_edge_model(path)
    assert (contract.precision, contract.num_channels) == ("int8", 2)
    card = contract.card
    assert card.num_bytes == len(graph) < 0.7 * card.float32_bytes
    assert sorted(card.latency) == ["float32", "int8", "jax"]
    assert all(0 < one.p10_ms <= one.median_ms <= one.p90_ms for one in card.latency.values())
    found = card.quantization
    assert (found.num_windows, found.agreement.num_windows) == (34, 68)
    assert found.agreement.mean_cosine > 0.995
    nodes = onnx.load_from_string(graph).graph.node
    quantized = {node.name for node in nodes if node.op_type == "QuantizeLinear"}
    # Input and result of qkv and output of both attentions, and of the two layers of the MLP.
    assert len(quantized) == 2 * 2 * 6
    assert not any("projection" in name for name in quantized)


def test_a_graph_that_loses_neighbors_is_not_written(tmp_path, onnx, monkeypatch):
    monkeypatch.setattr(export, "quantize", lambda graph, windows: graph)
    truth = EdgeModel.reference

    def reversed_if_many(model, output):
        compute = truth(model, output)
        return lambda one: compute(one)[:: -1 if len(one["signal"]) > 20 else 1]

    monkeypatch.setattr(EdgeModel, "reference", reversed_if_many)
    with pytest.raises(DataError, match="in int8 the mean cosine on 68 held-back windows"):
        encoder().export_edge(
            tmp_path / "m.onnx", precision="int8", calibration=recordings(), **GIVEN
        )
    assert not list(tmp_path.iterdir())


def test_windows_for_calibration_and_those_held_back_are_of_different_recordings():
    signals = recordings()
    found = windows_of(signals, 3)
    assert [len(one["signal"]) for one in found[:2]] == [34, 68]
    assert found.calibration["signal"].shape[1:] == (3, 400)
    assert found.calibration["channel_mask"][0].tolist() == [True, True, False]
    signals[0] = signals[0] * 2 + 1  # the same windows after normalization, but for rounding
    signals[1] = signals[1][:, ::-1]
    other = windows_of(signals, 3)
    np.testing.assert_allclose(other.calibration["signal"], found.calibration["signal"], atol=1e-4)
    signals[3] = signals[3][:, ::-1]
    assert windows_of(signals, 3).sha256 != other.sha256
    joined = windows_of(np.concatenate(signals, axis=1), None)
    assert [len(one["signal"]) for one in joined[:2]] == [34, 68]
    assert joined.num_channels == 2


def test_labels_are_told_apart_as_before(tmp_path, onnx, monkeypatch):
    labels = ["beats", "tremor"] * 3
    signals = recordings()
    for number in (1, 3, 5):
        signals[number] += 3 * np.sin(2 * np.pi * 12 * np.arange(6800) / 100)
    given = {"precision": "int8", "calibration": signals, "calibration_labels": labels, **GIVEN}
    monkeypatch.setattr(export, "require_small", lambda *sizes: None)
    found = []
    monkeypatch.setattr(export, "require_int8", found.append)
    path = encoder(width=64).export_edge(tmp_path / "m.onnx", **given)
    agreement = read_edge_model(path)[1].card.quantization.agreement
    assert agreement == found[0]
    assert agreement.reference_auroc > 0.99
    assert agreement.auroc > 0.99
    made = classifier(DECISIONS["two classes"])
    path = made.export_edge(tmp_path / "c.onnx", **given | {"calibration_labels": list("ababab")})
    agreement = read_edge_model(path)[1].card.quantization.agreement
    assert agreement.same_decision > 0.9
    assert agreement.auroc == pytest.approx(agreement.reference_auroc, abs=0.05)


def test_wrong_calibration_is_named(tmp_path):
    pytest.importorskip("onnxruntime")
    made, path = encoder(), tmp_path / "m.onnx"
    with pytest.raises(ConfigError, match="needs calibration=recordings"):
        made.export_edge(path, precision="int8")
    with pytest.raises(ConfigError, match="they need precision='int8'"):
        made.export_edge(path, calibration=recordings(), **GIVEN)
    with pytest.raises(DataError, match=r"gives 40 windows of 4 s, of which 20 .* at least 32 and"):
        made.export_edge(path, precision="int8", calibration=recordings(4, 40.0), **GIVEN)
    with pytest.raises(ConfigError, match=r"num_channels is 1, but a recording .* has 2 channels"):
        made.export_edge(path, precision="int8", calibration=recordings(), num_channels=1, **GIVEN)
    with pytest.raises(ConfigError, match="calibration_labels has 2 entries for 6 recordings"):
        made.export_edge(
            path, precision="int8", calibration=recordings(), calibration_labels=[0, 1], **GIVEN
        )
    with pytest.raises(ConfigError, match="they need precision='int8'"):
        made.export_edge(path, calibration_labels=[0, 1])
    with pytest.raises(ConfigError, match="'leads' is not an argument"):
        made.export_edge(path, precision="int8", calibration=recordings(), leads=["II"])
    assert not list(tmp_path.iterdir())

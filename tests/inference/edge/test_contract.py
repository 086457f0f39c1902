"""A graph is used only with its own contract, and neither if it is damaged."""

import dataclasses
import json

import numpy as np
import pytest

from physio_mae_jax.data.sealed_json import add_seal
from physio_mae_jax.errors import DataError, UserError
from physio_mae_jax.inference.edge.contract import fit_channels, hash_of, read_edge_model
from physio_mae_jax.inference.edge.runtime import EdgeEncoder
from physio_mae_jax.inference.edge.session import open_session
from tests.classifiers import classifier
from tests.encoders import encoder


@pytest.fixture
def onnx():
    pytest.importorskip("onnxruntime")
    return pytest.importorskip("onnx")


def test_damage_is_found(tmp_path, onnx):
    path = encoder().export_edge(tmp_path / "m.onnx", num_channels=1)
    graph, beside = path.read_bytes(), tmp_path / "m.onnx.json"
    contract = beside.read_text()
    path.write_bytes(graph[:-1])
    with pytest.raises(DataError, match=r"m\.onnx is damaged, or is not the graph of"):
        read_edge_model(path)
    path.write_bytes(graph)
    for changed in ('"num_channels": 2', '"num_channels": "1"'):
        beside.write_text(contract.replace('"num_channels": 1', changed, 1))
        with pytest.raises(DataError, match="'num_channels' does not match its hash"):
            read_edge_model(path)
    beside.write_text(json.dumps({"format_version": "0.2"}))
    with pytest.raises(DataError, match="hashes"):
        read_edge_model(path)
    beside.unlink()
    with pytest.raises(DataError, match=r"m\.onnx\.json"):
        read_edge_model(path)
    with pytest.raises(DataError, match=r"onnxruntime .* cannot compute the file"):
        open_session(b"no graph", "onnx", "the file")


def resealed(path, graph: bytes, **changes) -> None:
    """Replace a graph and fields of its contract, with the hashes that fit."""
    beside = path.with_name(f"{path.name}.json")
    path.write_bytes(graph)
    content = json.loads(beside.read_text())
    kept = {name: one for name, one in content.items() if name not in ("seal", "format_version")}
    beside.write_text(json.dumps(add_seal(kept | {"graph_sha256": hash_of(graph)} | changes)))


def test_a_foreign_graph_is_named(tmp_path, onnx):
    path = encoder().export_edge(tmp_path / "m.onnx", num_channels=1)
    graph = path.read_bytes()
    resealed(path, b"RIFF" + graph[4:])
    with pytest.raises(DataError, match=r"onnxruntime .* cannot compute .*m\.onnx"):
        EdgeEncoder.load(path)
    helper = onnx.helper
    kind = helper.make_tensor_value_info("pixels", 1, [1, 3])
    result = helper.make_tensor_value_info("output", 1, [1, 3])
    nodes = [helper.make_node("Relu", ["pixels"], ["output"])]
    foreign = helper.make_model(
        helper.make_graph(nodes, "g", [kind], [result]),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=9,
    )
    resealed(path, foreign.SerializeToString())
    with pytest.raises(
        DataError, match=r"takes pixels \[1, 3\]; channel_ids \[1, 1\], .* expected"
    ):
        EdgeEncoder.load(path)


def test_a_contract_that_does_not_fit_its_graph_is_named(tmp_path, onnx):
    path = encoder().export_edge(tmp_path / "m.onnx", num_channels=1)
    graph = path.read_bytes()
    resealed(path, graph, num_channels=2)
    with pytest.raises(DataError, match=r"signal \[1, 1, 400\].* signal \[1, 2, 400\].* expected"):
        EdgeEncoder.load(path)
    resealed(path, graph, num_channels=1, width=16)
    with pytest.raises(DataError, match=r"gives output \[1, 32\]; \[1, 16\] is expected"):
        EdgeEncoder.load(path)
    resealed(path, graph, width=32, output="logits")
    with pytest.raises(DataError, match=r"output is 'logits', which does not fit its decision"):
        read_edge_model(path)
    of_classes = classifier().export_edge(tmp_path / "c.onnx", num_channels=1)
    decision = dataclasses.asdict(read_edge_model(of_classes)[1].decision)
    resealed(of_classes, of_classes.read_bytes(), decision=decision | {"temperature": -1.0})
    with pytest.raises(DataError, match="temperature and slopes must be above 0"):
        read_edge_model(of_classes)


def test_an_opset_too_old_is_named(tmp_path, onnx, monkeypatch):
    path = encoder().export_edge(tmp_path / "m.onnx", num_channels=1)
    model = onnx.load_from_string(path.read_bytes())
    model.opset_import[0].version = 12
    graph = model.SerializeToString()
    resealed(path, graph, opset=12)
    with pytest.raises(DataError, match=r"cannot compute .*m\.onnx .*ReduceSum"):
        EdgeEncoder.load(path)

    monkeypatch.setattr(onnx.defs, "onnx_opset_version", lambda: 19)
    with pytest.raises(UserError, match=r"has operators of opset 19; 20 is needed"):
        encoder().export_edge(tmp_path / "n.onnx", num_channels=1)


def test_channels_are_padded_with_absent_ones():
    arrays = {
        "signal": np.ones((2, 4, 5)),
        "channel_mask": np.asarray([[True, True, True, False]] * 2),
        "channel_ids": np.ones((2, 4), np.int32),
        "column_weight": np.ones((2, 1)),
    }
    for count in (3, 6):
        found = fit_channels(arrays, count)
        assert found["signal"].shape == (2, count, 5)
        assert found["channel_mask"].sum() == 6
        assert found["channel_ids"].dtype == np.int64

"""Graphs for devices agree with JAX, and nothing else is written."""

import dataclasses
import sys

import pytest

from physio_mae_jax import Encoder
from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.inference.edge.contract import read_edge_model
from physio_mae_jax.inference.edge.edge_model import EdgeModel
from physio_mae_jax.inference.edge.encoder_graph import check_supported
from physio_mae_jax.objectives.contrastive import ContrastiveConfig
from tests.encoders import encoder, untrained

JOINT = {"encoder_attention": "joint", "decoder_attention": "joint"}
VARIANTS = {
    "v3": {},
    "v3 in bfloat16": {"compute_dtype": "bfloat16"},
    "v3 of low rank": {"mlp_rank_ratio": 0.5, "attention_rank_ratio": 0.5},
    "v3 without options": {
        "channel_embedding": False,
        "channel_smoothing": False,
        "waveform_branch": False,
    },
    "v1": {**JOINT, "class_token": True, "rotary_positions": "token"},
    "v2": JOINT,
}


@pytest.fixture
def onnx():
    pytest.importorskip("onnxruntime")
    return pytest.importorskip("onnx")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_graph_agrees_with_jax(variant, tmp_path, onnx):
    made = encoder(**VARIANTS[variant])
    path = made.export_edge(tmp_path / "m.onnx", num_channels=2)
    graph, contract = read_edge_model(path)
    assert contract.num_channels == 2
    assert contract.card.num_bytes == len(graph)
    assert 0 < contract.card.float32_agreement.relative_error < 1e-5
    assert sorted(one.name for one in tmp_path.iterdir()) == ["m.onnx", "m.onnx.json"]


def test_channels_that_are_encoded_alone(tmp_path, onnx):
    plain = untrained()
    model_spec = dataclasses.replace(
        plain.model_spec, contrastive=ContrastiveConfig(weight=1.0, projection_width=8)
    )
    alone = plain._replace(model_spec=model_spec, params={"autoencoder": plain.params})
    assert alone.model_spec.channel_independent
    made = Encoder(alone, batch_size=1, num_devices=1)
    for output in ("embedding", "columns"):
        made.export_edge(tmp_path / f"{output}.onnx", num_channels=2, output=output)


@pytest.mark.parametrize("channels", [1, 3, 12])
def test_a_graph_has_a_fixed_number_of_channels(channels, tmp_path, onnx):
    path = encoder().export_edge(tmp_path / "m.onnx", num_channels=channels, output="columns")
    graph, contract = read_edge_model(path)
    assert contract.output_shape == (20, 32)
    model = onnx.load_from_string(graph)
    sizes = [[d.dim_value for d in one.type.tensor_type.shape.dim] for one in model.graph.input]
    assert sizes == [[1, channels, 400], [1, channels], [1, channels]]
    assert [one.version for one in model.opset_import] == [20]


def test_what_has_no_graph_is_named_before_any_work(tmp_path):
    for changes, name in [
        ({"convolutional_stem": "normalized"}, r"model\.convolutional_stem='normalized'"),
        ({"attention_block_seconds": 0.7}, r"model\.attention_block_seconds=0\.7"),
    ]:
        with pytest.raises(ConfigError, match=name):
            check_supported(EdgeModel.of_encoder(untrained(**changes)))
    made = encoder()
    for settings, name in [
        ({"precision": "int4"}, "precision is 'int4'; choose from float32, int8"),
        ({"output": "tokens"}, "output is 'tokens'; choose from embedding, columns"),
        ({"num_channels": 0}, "num_channels"),
    ]:
        with pytest.raises(ConfigError, match=name):
            made.export_edge(tmp_path / "m.onnx", **settings)
    assert not list(tmp_path.iterdir())


def test_a_graph_that_disagrees_is_not_written(tmp_path, monkeypatch, onnx):
    truth = EdgeModel.reference
    monkeypatch.setattr(
        EdgeModel, "reference", lambda *of: lambda windows: truth(*of)(windows) * 1.0001
    )
    with pytest.raises(DataError, match=r"differs from JAX by 0\.0001 of the largest output"):
        encoder().export_edge(tmp_path / "m.onnx", num_channels=1)
    assert not list(tmp_path.iterdir())


def test_without_the_extra_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r"need onnx, .* pip install \"physio_mae_jax\[edge\]\""):
        encoder().export_edge(tmp_path / "m.onnx")

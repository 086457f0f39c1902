"""Graphs of classifiers agree with JAX, for every head that has one."""

import pytest

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.inference.edge.contract import read_edge_model
from physio_mae_jax.inference.edge.edge_model import EdgeModel
from physio_mae_jax.inference.edge.encoder_graph import check_supported
from physio_mae_jax.inference.edge.head_graph import GRAPH_HEADS
from physio_mae_jax.models.heads import HEADS
from tests.classifiers import DECISIONS, classifier, untrained_classifier

WITHOUT_GRAPH = {"reasoning"}


def test_every_head_has_a_graph_or_is_rejected_by_name():
    assert {*GRAPH_HEADS, *WITHOUT_GRAPH} == set(HEADS)
    for kind in WITHOUT_GRAPH:
        model = EdgeModel.of_classifier(untrained_classifier(kind=kind))
        with pytest.raises(ConfigError, match=f"head.kind='{kind}' cannot be .* one of linear, at"):
            check_supported(model)


@pytest.mark.parametrize(
    ("channels", "head"),
    [
        *((2, {"kind": kind}) for kind in GRAPH_HEADS),
        (1, {"kind": "attention"}),
        (3, {"kind": "event", "event_offset": 0.2}),
        (2, {"kind": "linear", "arcface": True}),
    ],
    ids=str,
)
def test_a_graph_agrees_with_jax(channels, head, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    made = classifier(**head)
    _, contract = read_edge_model(made.export_edge(tmp_path / "m.onnx", num_channels=channels))
    assert contract.output == "logits"
    assert contract.output_shape == (3,)
    found = contract.card.float32_agreement
    assert 0 < found.relative_error < 1e-5
    assert found.same_decision == 1
    assert contract.decision == DECISIONS["multiclass"]


def test_a_model_has_its_own_outputs(tmp_path):
    with pytest.raises(ConfigError, match="output is 'columns'; choose from logits"):
        classifier().export_edge(tmp_path / "m.onnx", output="columns")

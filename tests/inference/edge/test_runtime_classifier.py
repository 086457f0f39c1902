"""Classes on a device are those of the classifier, of recordings and in streams."""

import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError
from tests.classifiers import DECISIONS, classifier
from tests.encoders import beats, encoder

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from physio_mae_jax.inference.edge.runtime import EdgeClassifier, EdgeEncoder

GIVEN = {"sampling_rate_hz": 250, "channels": ["II", "PPG"]}


@pytest.fixture(scope="module", params=sorted(DECISIONS))
def pair(request, tmp_path_factory):
    """Return a classifier in JAX and its graph."""
    made = classifier(DECISIONS[request.param])
    path = made.export_edge(tmp_path_factory.mktemp("edge") / "m.onnx", num_channels=2)
    return made, EdgeClassifier.load(path)


def signal(seconds: float = 11.3, seed: int = 0) -> np.ndarray:
    """Return beats and noise [2, n] at 250 Hz."""
    values = beats(seconds, 250, leads=2, seed=seed)
    return values + 0.1 * np.random.default_rng(seed).normal(size=values.shape)


@pytest.mark.parametrize("rows", ["recording", "window"])
def test_predictions_are_those_of_the_classifier(pair, rows):
    made, device = pair
    signals = [signal(seed=seed) for seed in range(3)]
    signals[1][:, 900:950] = np.nan
    given = GIVEN | {"rows": rows, "on_invalid": "skip"}
    found, wanted = device.predict(signals, **given), made.predict(signals, **given)
    assert found.classes == wanted.classes
    for one, other in zip(found.probabilities, wanted.probabilities, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    for one, other in zip(found.decisions, wanted.decisions, strict=True):
        assert one.tolist() == other.tolist()
    assert str(found.report) == str(wanted.report)


def test_a_stream_is_that_of_the_classifier(pair, tmp_path):
    made, device = pair
    given = GIVEN | {"hop_seconds": 1.0}
    opened = made.stream(**given)
    wanted = [*opened.push(signal()), *opened.flush()]
    stream = device.stream(**given)
    rows = stream.push(signal()[:, :1500])
    stream = device.stream(**given).resume(stream.save(tmp_path / "state"))
    rows += [*stream.push(signal()[:, 1500:]), *stream.flush()]
    assert [row.decisions for row in rows] == [row.decisions for row in wanted]
    for row, other in zip(rows, wanted, strict=True):
        assert row.probabilities == pytest.approx(other.probabilities, abs=1e-5)


def test_files_are_classified(pair, tmp_path):
    made, device = pair
    table = tmp_path / "a.csv"
    np.savetxt(table, signal().T, delimiter=",", header="II,PPG", comments="")
    found = device.predict_file(table, sampling_rate_hz=250)
    np.testing.assert_allclose(
        found.probabilities, made.predict(signal(), **GIVEN).probabilities, atol=1e-5
    )


def test_each_graph_is_loaded_as_what_it_is(pair, tmp_path):
    path = encoder().export_edge(tmp_path / "e.onnx", num_channels=1)
    with pytest.raises(ConfigError, match=r"e\.onnx is the graph of an encoder, which has no cla"):
        EdgeClassifier.load(path)
    device = pair[1]
    with pytest.raises(ConfigError, match="computes the logits of classes; leave it out"):
        device.encode(signal(), output="columns", **GIVEN)
    assert isinstance(EdgeEncoder.load(path), EdgeEncoder)

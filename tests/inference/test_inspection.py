"""Looking into an encoder: reconstructions, attention, maps of embeddings."""

import sys

import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.plots.attention import draw_attention
from physio_mae_jax.plots.embedding_map import draw_map, project
from physio_mae_jax.plots.reconstruction import draw_reconstruction
from tests.encoders import beats, encoder

JOINT = {"encoder_attention": "joint", "waveform_branch": False}
GIVEN = {"sampling_rate_hz": 250, "channels": ["V1", "I", "II"]}


@pytest.fixture(scope="module", params=[{}, JOINT, {"input": {"num_channels": 1}}])
def made(request):
    return encoder(**request.param)


def test_what_is_hidden_does_not_reach_the_prediction(made):
    signal = beats(5, 250)
    changed = signal.copy()
    changed[:, 250:500] += 0.1 * np.random.default_rng(0).normal(size=(3, 250))
    # The mean and standard deviation of the window, which normalize it, are all that may change.
    first, second = (
        made.reconstruct(s, masked_seconds=[(0.9, 2.1)], **GIVEN) for s in (signal, changed)
    )
    assert first.masked.tolist() == [4 <= column < 11 for column in range(20)]
    hidden = np.repeat(first.masked, 20)
    assert np.isfinite(first.predicted[:, hidden]).all()
    assert np.isnan(first.predicted[:, ~hidden]).all()
    shift = np.abs(first.predicted[:, hidden] - second.predicted[:, hidden]).max()
    assert shift < 0.2 * np.abs(first.predicted[:, hidden]).max()
    assert first.channels == ("I", "II", "V1")


def test_columns_are_hidden_at_random_and_drawn(made):
    window = made.reconstruct(beats(5, 250), mask_ratio=0.5, seed=3, **GIVEN)
    assert window.masked.sum() == 10
    assert len(draw_reconstruction(window).axes) > 9


def test_attention_adds_up_and_is_drawn(made):
    window = made.attention(beats(9, 250), start_seconds=4.5, **GIVEN)
    assert window.received.shape == (3, 20, 4)
    assert window.received.mean() == pytest.approx(1, abs=1e-4)
    meet = (
        made.programs.config.encoder_attention == "factorized"
        and not made.programs.channel_independent
    )
    assert (window.between is not None) == meet
    if meet:
        assert window.between.shape == (3, 3)
        np.testing.assert_allclose(window.between.sum(axis=1), 1, atol=1e-4)
    assert window.title == "recording 0, from 4.5 s, mean of all layers"
    assert len(draw_attention(window).axes) >= 6


def test_layers_are_told_apart():
    made = encoder()
    layers = [made.attention(beats(5, 250), layer=i, **GIVEN).received for i in (0, 1, None)]
    np.testing.assert_allclose((layers[0] + layers[1]) / 2, layers[2], atol=1e-5)
    with pytest.raises(ConfigError, match="layer is 2; it must be an integer from -2 to 1"):
        made.attention(beats(5, 250), layer=2, **GIVEN)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"masked_seconds": [(3, 5)]}, r"\(3, 5\); .* within the window of 4 s"),
        ({"masked_seconds": [(0, 4)]}, "20 of 20 columns"),
        ({"masked_seconds": []}, "0 of 20 columns"),
        ({"start_seconds": 3}, "no whole window of 4 s from 3 s on"),
    ],
)
def test_what_cannot_be_hidden_is_named(arguments, message):
    with pytest.raises((ConfigError, DataError), match=message):
        encoder().reconstruct(beats(5, 250), **arguments, **GIVEN)


def test_a_map_keeps_groups_apart(monkeypatch):
    rng = np.random.default_rng(0)
    table = np.concatenate([rng.normal(size=(40, 8)), rng.normal(size=(30, 8)) + 5])
    groups = np.array(["a"] * 40 + ["b"] * 30)
    points, axes = project(table, "pca")
    assert (points[:40, 0].max() < points[40:, 0].min()) or (
        points[:40, 0].min() > points[40:, 0].max()
    )
    assert "% of variance" in axes[0]
    figure = draw_map(table, groups, title="two groups")
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        "a (40)",
        "b (30)",
    ]
    assert len(draw_map(table, np.arange(70.0)).axes) == 2  # a scale of colors
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ConfigError, match="pip install umap-learn"):
        draw_map(table, groups, method="umap")
    with pytest.raises(DataError, match="three finite rows"):
        draw_map(np.full((5, 3), np.nan), groups)

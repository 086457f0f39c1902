"""The encoder in scikit-learn: pipelines, clones, clustering, grid search."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.inference.sklearn_transformer import EncoderTransformer
from tests.encoders import encoder, write_run

GIVEN = {"sampling_rate_hz": 100, "channels": ["I", "II"]}


@pytest.fixture(scope="module")
def made():
    return encoder()


@pytest.fixture(scope="module")
def labeled():
    """Slow and fast waves in noise."""
    rng = np.random.default_rng(0)
    time = np.arange(500) / 100
    fast = np.arange(24) % 2
    wave = np.sin(2 * np.pi * (1 + 3 * fast)[:, None] * time + rng.uniform(0, 6, (24, 1)))
    return wave[:, None] + 0.3 * rng.normal(size=(24, 2, 500)), fast


def test_a_pipeline_learns_from_embeddings(made, labeled):
    signals, fast = labeled
    pipeline = make_pipeline(
        EncoderTransformer(made, **GIVEN), StandardScaler(), LogisticRegression()
    )
    assert pipeline.fit(signals[:12], fast[:12]).score(signals[12:], fast[12:]) > 0.9


def test_clones_are_equal_and_share_the_encoder(made, labeled):
    first = EncoderTransformer(made, overlap=0.25, **GIVEN)
    second = clone(first)
    assert second.get_params() == first.get_params()
    assert second.encoder is made
    assert second.set_params(output="channels").fit_transform(labeled[0]).shape == (24, 64)
    assert first.fit_transform(labeled[0]).shape == (24, 32)


def test_grid_search_and_clustering(made, labeled):
    signals, fast = labeled
    pipeline = make_pipeline(EncoderTransformer(made, **GIVEN), LogisticRegression())
    grid = {"encodertransformer__output": ["pooled", "channels"]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(signals, fast)
    assert search.best_score_ > 0.7
    clusters = make_pipeline(EncoderTransformer(made, **GIVEN), KMeans(2, n_init=3, random_state=0))
    assert set(clusters.fit_predict(signals)) == {0, 1}


def test_it_is_opened_by_its_folder(made, labeled, tmp_path):
    wanted = EncoderTransformer(made, **GIVEN).fit_transform(labeled[0])
    made.save_pretrained(tmp_path / "shared")
    for folder in (write_run(tmp_path / "run"), tmp_path / "shared"):
        found = EncoderTransformer(str(folder), **GIVEN).fit_transform(labeled[0])
        np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_what_is_no_encoder_is_named(made):
    with pytest.raises(ConfigError, match="encoder is None"):
        EncoderTransformer().fit(None)
    with pytest.raises(ConfigError, match="must be pooled or channels; got 'tokens'"):
        EncoderTransformer(made, output="tokens").fit(None)


def test_a_batch_of_no_recordings_has_no_embeddings(made):
    embed = EncoderTransformer(made, **GIVEN).fit(None)
    assert embed.transform(np.zeros((0, 2, 500))).shape == (0, 32)
    encoded = made.encode_with_report(np.zeros((0, 2, 500)), **GIVEN)
    assert encoded.embeddings.shape == (0, 32)
    assert encoded.report.recordings == ()

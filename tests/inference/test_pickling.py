"""Encoders and transformers are saved, copied and sent to processes, and come back the same."""

import copy
import io
import os
import pickle
import shutil

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from physio_mae_jax import Encoder
from physio_mae_jax.errors import DataError, UserError
from physio_mae_jax.inference import encoder as encoder_module
from physio_mae_jax.inference.sklearn_transformer import EncoderTransformer
from tests.encoders import beats, encoder, untrained, write_run

GIVEN = {"sampling_rate_hz": 100, "channels": ["I", "II"]}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def loaded(run):
    return Encoder.from_checkpoint(run, batch_size=16, num_devices=1)


@pytest.fixture
def forgetful():
    """Nothing that another test loaded is kept."""
    encoder_module._loaded_again.cache_clear()


@pytest.fixture(scope="module")
def signals():
    """Slow and fast waves of twelve subjects."""
    fast = np.arange(12) % 2
    time = np.arange(500) / 100
    wave = np.sin(2 * np.pi * (1 + 3 * fast)[:, None] * time)
    noise = np.random.default_rng(0).normal(size=(12, 2, 500))
    return wave[:, None] + 0.3 * noise, fast


def through_pickle(value):
    return pickle.loads(pickle.dumps(value))


def through_joblib(value):
    file = io.BytesIO()
    joblib.dump(value, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("sent", [through_pickle, through_joblib, copy.deepcopy, copy.copy])
def test_an_encoder_comes_back_the_same(loaded, signals, sent):
    again = sent(loaded)
    np.testing.assert_array_equal(
        again.encode(signals[0], **GIVEN), loaded.encode(signals[0], **GIVEN)
    )
    assert (again.fingerprint, again.batch_size) == (loaded.fingerprint, 16)


def test_a_pickle_holds_the_place_and_not_the_weights(loaded, run, monkeypatch, tmp_path):
    content = pickle.dumps(loaded)
    assert len(content) < 1000
    assert os.fsencode(run.absolute()) in content
    monkeypatch.chdir(tmp_path)  # the path does not depend on the current folder
    assert pickle.loads(content).fingerprint == loaded.fingerprint


def test_a_relative_path_is_found_from_elsewhere(run, monkeypatch, tmp_path):
    monkeypatch.chdir(run.parent)
    content = pickle.dumps(Encoder.from_checkpoint("run", batch_size=16, num_devices=1))
    monkeypatch.chdir(tmp_path)
    assert pickle.loads(content).channels


@pytest.mark.usefixtures("forgetful")
def test_an_encoder_of_no_folder_is_its_weights(signals):
    made = encoder()
    again = through_pickle(made)
    assert again.fingerprint == made.fingerprint
    np.testing.assert_array_equal(
        again.encode(signals[0], **GIVEN), made.encode(signals[0], **GIVEN)
    )


@pytest.mark.usefixtures("forgetful")
def test_what_save_pretrained_wrote_is_loaded_again(tmp_path):
    encoder().save_pretrained(tmp_path / "shared")
    shared = Encoder.from_pretrained(tmp_path / "shared", num_devices=1)
    assert through_pickle(shared).fingerprint == shared.fingerprint


@pytest.mark.usefixtures("forgetful")
def test_a_folder_that_is_gone_is_named(tmp_path):
    folder = write_run(tmp_path / "gone")
    content = pickle.dumps(Encoder.from_checkpoint(folder, num_devices=1))
    shutil.rmtree(folder)
    with pytest.raises(DataError, match=r"refers to its folder .*gone, which cannot be loaded"):
        pickle.loads(content)


@pytest.mark.usefixtures("forgetful")
def test_a_folder_of_another_model_is_rejected(tmp_path):
    encoder().save_pretrained(tmp_path / "shared")
    content = pickle.dumps(Encoder.from_pretrained(tmp_path / "shared", num_devices=1))
    shutil.rmtree(tmp_path / "shared")
    encoder(input={"units": {}}).save_pretrained(tmp_path / "shared")
    with pytest.raises(DataError, match=r"now holds another model"):
        pickle.loads(content)


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("is_fitted", [False, True])
@pytest.mark.parametrize("by_path", [False, True])
def test_a_transformer_is_saved_fitted_or_not(run, loaded, signals, is_fitted, by_path):
    transformer = EncoderTransformer(str(run) if by_path else loaded, **GIVEN)
    if is_fitted:
        transformer.fit(signals[0])
    for sent in (through_pickle, through_joblib, copy.deepcopy, clone):
        again = sent(transformer)
        found = again.fit(signals[0]) if not is_fitted or sent is clone else again
        np.testing.assert_allclose(
            found.transform(signals[0]), loaded.encode(signals[0], **GIVEN), atol=2e-5
        )


def test_a_fitted_pipeline_is_saved_and_searched_by_processes(loaded, signals):
    pipeline = make_pipeline(EncoderTransformer(loaded, **GIVEN), LogisticRegression())
    again = through_joblib(pipeline.fit(*signals))
    np.testing.assert_array_equal(again.predict(signals[0]), pipeline.predict(signals[0]))
    grid = {"logisticregression__C": [1.0]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(*signals)
    assert through_pickle(search).best_params_ == search.best_params_


def test_columns_have_names_as_many_as_there_are(loaded, signals):
    for output, first, count in (("pooled", "embedding0", 32), ("channels", "I_embedding0", 64)):
        transformer = EncoderTransformer(loaded, output=output, **GIVEN).fit(signals[0])
        names = transformer.get_feature_names_out()
        assert (names[0], len(names)) == (first, count)
        assert transformer.transform(signals[0]).shape == (12, count)
        assert transformer.n_features_in_ == 2
    derived = EncoderTransformer(loaded, output="channels", derive_leads=True, **GIVEN).fit(None)
    assert len(derived.get_feature_names_out()) == derived.transform(signals[0]).shape[1]


def test_columns_of_frames_name_the_output(loaded):
    frames = [pd.DataFrame(beats(5, 100, leads=2).T, columns=["V1", "II"])] * 2
    transformer = EncoderTransformer(loaded, sampling_rate_hz=100, output="channels")
    table = transformer.set_output(transform="pandas").fit_transform(frames)
    assert isinstance(table, pd.DataFrame)
    assert table.columns[0] == "V1_embedding0"
    assert table.columns[32] == "II_embedding0"
    assert table.shape == (2, 64)
    with pytest.raises(DataError, match=r"give a list, \[frame\]"):
        transformer.transform(frames[0])
    assert transformer.set_output(transform="default").transform(frames[0]).shape == (1, 64)


def test_columns_that_are_not_known_are_reported(loaded, signals):
    transformer = EncoderTransformer(loaded, sampling_rate_hz=100, output="channels").fit(None)
    with pytest.raises(UserError, match=r"give channels= to the transformer, or fit it on frames"):
        transformer.get_feature_names_out()
    pair = [beats(5, 100, leads=2), beats(5, 100, leads=1)]
    other = transformer.set_params(channels=[["I", "II"], ["I"]])
    with pytest.raises(UserError, match="different numbers of channels"):
        other.fit(pair).transform(pair)


def test_scikit_learn_is_told_what_is_taken(loaded):
    tags = EncoderTransformer(loaded, on_invalid="skip").__sklearn_tags__()
    assert tags.input_tags.three_d_array
    assert tags.input_tags.allow_nan
    assert not tags.target_tags.required


def test_a_model_of_weights_keeps_what_it_was_trained_on():
    again = through_pickle(Encoder(untrained(), num_devices=1))
    np.testing.assert_array_equal(again.trained.trained_on.blocks, np.arange(5))

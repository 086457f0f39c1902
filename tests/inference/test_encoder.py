"""Embeddings of one's own signals: laws, shapes and agreement with evaluations."""

import functools

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from physio_mae_jax.data.channel_plan import common_units
from physio_mae_jax.data.instances import LabelConfig, collect_instances
from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.window_transform import WindowConfig
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.errors import DataError
from physio_mae_jax.evaluation.extractors import encoder_extractor
from physio_mae_jax.training.prediction import average_by_instance, predict_windows
from physio_mae_jax.training.sharding import make_mesh
from tests.encoders import RATE_HZ, beats, cosine, encoder
from tests.prepared import waves

LEADS = ["I", "II", "V1"]
ALIKE = functools.partial(np.testing.assert_allclose, atol=2e-5, rtol=0)


@pytest.fixture(scope="module")
def made():
    return encoder()


@pytest.mark.parametrize("rate_hz", [125.0, 250.0, 500.0, 360.0])
def test_the_same_beat_at_another_rate_has_the_same_embedding(made, rate_hz):
    wanted = made.encode(beats(10, 100), sampling_rate_hz=100, channels=LEADS)
    found = made.encode(beats(10, rate_hz), sampling_rate_hz=rate_hz, channels=LEADS)
    other = made.encode(beats(10, 100, seed=1), sampling_rate_hz=100, channels=LEADS)
    assert cosine(wanted, found) > 0.999
    assert cosine(wanted, found) > cosine(wanted, other)


def test_the_order_of_names_and_their_spelling_do_not_matter(made):
    signal = beats(6, 100)
    wanted = made.encode(signal, sampling_rate_hz=100, channels=LEADS)
    turned = made.encode(signal[[2, 0, 1]], sampling_rate_hz=100, channels=["v1", "I", "MLII"])
    np.testing.assert_array_equal(wanted, turned)


@pytest.mark.parametrize("nothing", [0.0, np.nan])
def test_an_absent_channel_changes_nothing(made, nothing):
    signal = beats(6, 100)
    wanted = made.encode(signal, sampling_rate_hz=100, channels=LEADS)
    more = np.vstack([signal, np.full((2, 600), nothing)])
    found, report = made.encode_with_report(
        more, sampling_rate_hz=100, channels=[*LEADS, "V5", "PPG"]
    )
    ALIKE(found, wanted)
    assert [note.text[:4] for note in report.of("masked")] == ["V5, ", "PPG,"]


def test_one_channel_among_absent_ones_is_as_if_alone(made):
    signal = beats(4, 100, leads=1)
    wanted = made.encode(signal, sampling_rate_hz=100, channels=["II"])
    more = np.vstack([signal, np.zeros((2, 400))])
    ALIKE(made.encode(more, sampling_rate_hz=100, channels=["II", "V5", "PPG"]), wanted)


def test_recordings_of_several_rates_and_channels_go_together(made):
    signals = [beats(5, 100), beats(6, 250)[:1]]
    found = made.encode(
        signals, sampling_rate_hz=[100, 250], channels=[LEADS, ["I"]], output="channels"
    )
    assert [rows.shape for rows in found] == [(3, 32), (1, 32)]


def test_arrays_of_jax_and_frames_and_lists_are_the_same(made):
    signal = beats(5, 100).astype(np.float32)
    arguments = {"sampling_rate_hz": 100, "channels": LEADS}
    wanted = made.encode(signal, **arguments)
    frame = pd.DataFrame(signal.T, columns=LEADS)
    for other in (jnp.asarray(signal), [signal], signal[None], frame, frame[["V1", "II", "I"]]):
        given = {} if isinstance(other, pd.DataFrame) else {"channels": LEADS}
        ALIKE(made.encode(other, sampling_rate_hz=100, **given), wanted)


def test_shapes_of_every_output(made):
    signal = np.stack([beats(7, 100, seed=i) for i in range(2)])
    arguments = {"sampling_rate_hz": 100, "channels": LEADS}
    shapes = {
        output: made.encode(signal, output=output, **arguments).shape
        for output in ("pooled", "channels", "columns", "tokens")
    }
    assert shapes == {
        "pooled": (2, 32),
        "channels": (2, 3, 32),
        "columns": (2, 35, 32),
        "tokens": (2, 3, 35, 4, 32),
    }


def test_outputs_are_means_of_each_other(made):
    arguments = {"sampling_rate_hz": 100, "channels": LEADS}
    signal = beats(7.4, 100)
    pooled, channels, columns, tokens = (
        made.encode(signal, output=output, **arguments)[0]
        for output in ("pooled", "channels", "columns", "tokens")
    )
    ALIKE(tokens.mean(axis=(0, 2)), columns)
    ALIKE(columns.mean(axis=0), pooled)
    ALIKE(channels.mean(axis=0), pooled)


def test_rows_of_channels_are_those_that_are_given(made):
    signal = beats(4, 100)
    rows = made.encode(signal, sampling_rate_hz=100, channels=LEADS, output="channels")[0]
    more = np.vstack([signal[2], np.zeros(400), signal[:2]])
    found, report = made.encode_with_report(
        more, sampling_rate_hz=100, channels=["V1", "V6", "I", "II"], output="channels"
    )
    ALIKE(found[0][[2, 3, 0]], rows)
    assert np.isnan(found[0][1]).all()
    assert report.channels == (("V1", "V6", "I", "II"),)


def test_limb_leads_are_derived_if_wanted(made):
    signal = beats(4, 100)[:2]
    both = np.vstack([signal, signal[1] - signal[0]])
    wanted = made.encode(both, sampling_rate_hz=100, channels=["I", "II", "III"], derive_leads=True)
    found, report = made.encode_with_report(
        signal, sampling_rate_hz=100, channels=["I", "II"], derive_leads=True
    )
    ALIKE(found, wanted, atol=1e-4)
    assert report.channels[0] == ("I", "II", "III", "aVR", "aVL", "aVF")
    assert "III = +1 II -1 I" in str(report)


def test_a_prepared_recording_is_encoded_as_evaluations_do(tmp_path, made):
    source = ConcatSource([PreparedSource(waves(tmp_path, subjects=4))], [range(8)])
    window = WindowConfig(
        channels="",
        num_channels=2,
        units=common_units(source.recordings),
        sampling_rate_hz=RATE_HZ,
        num_samples=400,
    )
    reader = WindowReader(source, window)
    instances = collect_instances(source, reader, range(8), LabelConfig(task="wave"))
    mesh = make_mesh(1)
    trained = made.trained
    extract = encoder_extractor(
        trained.model_spec.model, trained.params["encoder"], mesh, channel_independent=False
    )
    wanted = average_by_instance(predict_windows(extract, reader, instances, mesh, 8, 2), instances)
    signals = [source.read(i, 0, 1200) for i in range(8)]
    found = made.encode(signals, sampling_rate_hz=100, channels=["II", "PPG"], overlap=0)
    ALIKE(found, wanted)


def test_a_unit_may_be_unknown_and_a_gain_is_one_for_each_channel(made):
    given = {"sampling_rate_hz": 100, "channels": LEADS}
    wanted = made.encode(beats(5, 100), **given)
    for units in (None, ["mV", None, ""]):
        np.testing.assert_array_equal(made.encode(beats(5, 100), units=units, **given), wanted)
    with pytest.raises(DataError, match=r"has 3 channels, but gain has shape \(2,\)"):
        made.encode(beats(5, 100), gain=[1.0, 2.0], **given)


def test_counts_of_known_gain_or_said_to_be_counts_are_taken(made):
    signal = beats(5, 100)
    counts = np.round(signal * 20_000).astype(np.int32)
    arguments = {"sampling_rate_hz": 100, "channels": LEADS}
    wanted = made.encode(signal, **arguments)
    for said in ({"gain": 20_000}, {"units": "adu"}, {"gain": [20_000, 10_000, 5]}):
        ALIKE(made.encode(counts, **said, **arguments), wanted, atol=1e-3)


def test_an_encoder_trained_on_single_channels_gets_them_one_by_one():
    made = encoder(input={"num_channels": 1})
    signal = beats(4, 100)
    arguments = {"sampling_rate_hz": 100}
    rows = made.encode(signal, channels=LEADS, output="channels", **arguments)[0]
    for row, name in enumerate(LEADS):
        alone = made.encode(signal[row], channels=[name], **arguments)[0]
        ALIKE(rows[row], alone)

"""Embeddings of one's own signals: laws, shapes, reports, and what is rejected."""

import dataclasses
import functools
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from physio_mae_jax.data.channel_plan import common_units
from physio_mae_jax.data.instances import LabelConfig, find_instances
from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.window_starts import WindowStarts
from physio_mae_jax.data.windows import WindowConfig, WindowReader
from physio_mae_jax.errors import DataError, UserError
from physio_mae_jax.evaluation.extractors import encoder_extractor
from physio_mae_jax.inference import Encoder
from physio_mae_jax.inference.compiled_encoder import batch_bucket, channel_bucket
from physio_mae_jax.inference.throughput import measure_arrays, measure_files
from physio_mae_jax.inference.tiling import tile
from physio_mae_jax.training.prediction import average_by_instance, predict_windows
from physio_mae_jax.training.sharding import make_mesh
from tests.encoders import RATE_HZ, beats, cosine, encoder, untrained, write_run
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


def test_a_model_trained_with_fused_attention_is_used_where_there_is_none():
    trained = untrained(compute_dtype="bfloat16", width=32, num_heads=2)
    signal = beats(10, 100)
    embeddings = []
    for changes in ({}, {"attention_implementation": "fused", "unroll_layers": True}):
        model = dataclasses.replace(trained.model_spec.model, **changes)
        model_spec = dataclasses.replace(trained.model_spec, model=model)
        one = Encoder(trained._replace(model_spec=model_spec), num_devices=1)
        given = {"sampling_rate_hz": 100, "channels": LEADS}
        embeddings.append(one.encode(signal, **given))
        one.reconstruct(signal, **given)
    np.testing.assert_array_equal(*embeddings)


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


@pytest.mark.parametrize("changes", [{}, {"encoder_attention": "joint", "waveform_branch": False}])
def test_padding_changes_nothing(changes, monkeypatch):
    """Whatever lies behind a short recording, its embedding is the same."""
    made = encoder(**changes)
    signal = beats(2.6, 100)
    arguments = {"sampling_rate_hz": 100, "channels": LEADS}
    wanted, report = made.encode_with_report(signal, **arguments)
    assert [note.text for note in report.of("padded")] == ["from 2.6 to 4 s, masked"]
    pad = np.pad

    def with_noise(values, widths, **settings):
        padded = pad(values, widths, **settings)
        if padded.ndim == 2 and padded.shape[1] == 400:
            padded[:, 260:] = np.random.default_rng(0).normal(size=(len(padded), 140))
        return padded

    monkeypatch.setattr("physio_mae_jax.inference.engine.np.pad", with_noise)
    ALIKE(made.encode(signal, **arguments), wanted)


def test_a_batch_gives_what_each_recording_gives(made):
    signals = [beats(seconds, 100, seed=i) for i, seconds in enumerate((4, 10, 3.2, 7.77, 4))]
    together = made.encode(signals, sampling_rate_hz=100, channels=LEADS)
    for signal, embedding in zip(signals, together, strict=True):
        ALIKE(made.encode(signal, sampling_rate_hz=100, channels=LEADS)[0], embedding)


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
    instances = find_instances(source, reader, range(8), LabelConfig(task="wave"))
    mesh = make_mesh(1)
    trained = made.trained
    extract = encoder_extractor(
        trained.model_spec.model, trained.params["encoder"], mesh, channel_independent=False
    )
    wanted = average_by_instance(predict_windows(extract, reader, instances, mesh, 8, 2), instances)
    signals = [source.read(i, 0, 1200) for i in range(8)]
    found = made.encode(signals, sampling_rate_hz=100, channels=["II", "PPG"], overlap=0)
    ALIKE(found, wanted)


def test_nothing_is_compiled_twice():
    made = encoder()
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, seconds, **_: compiled.append(name) if "backend_compile" in name else None
    )
    try:
        for seconds in (4, 5, 9, 12, 30):
            made.encode(beats(seconds, 100), sampling_rate_hz=100, channels=LEADS)
        assert made.num_compilations == 5  # batches of 1, 2, 4, 8 and 16 windows
        made.encode(beats(30, 250)[:2], sampling_rate_hz=250, channels=LEADS[:2])
        assert made.num_compilations == 6
        before = len(compiled)
        for rate_hz in (100, 500):
            made.encode([beats(6, rate_hz)] * 7, sampling_rate_hz=rate_hz, channels=LEADS)
        assert made.num_compilations == 6
        assert len(compiled) == before
    finally:
        jax.monitoring.clear_event_listeners()


def test_batches_are_split_over_all_devices_and_that_changes_nothing(made):
    spread = Encoder(made.trained, batch_size=16)
    assert spread.programs.mesh.size == 8
    arguments = {"sampling_rate_hz": 100, "channels": LEADS}
    signal = beats(30, 100)
    ALIKE(spread.encode(signal, **arguments), made.encode(signal, **arguments))
    batch = {
        "signal": np.zeros((16, 3, 400), np.float32),
        "channel_mask": np.ones((16, 3), bool),
        "channel_ids": np.ones((16, 3), np.int32),
        "column_weight": np.ones((16, 20), np.float32),
    }
    assert len(spread.programs.run(batch, "pooled").sharding.device_set) == 8


def test_buckets():
    assert [batch_bucket(n, 32, 1) for n in (1, 2, 3, 17, 32)] == [1, 2, 4, 32, 32]
    assert [batch_bucket(n, 32, 4) for n in (1, 5, 9, 17)] == [4, 8, 16, 32]
    assert [channel_bucket(n) for n in (1, 5, 12, 13)] == [1, 6, 12, 16]


def test_windows_cover_every_stretch_and_count_alike():
    starts = WindowStarts(np.array([0, 1003]), np.array([301, 598]))
    tiling = tile(starts, total_columns=100, num_columns=20, hop_columns=10, column_samples=20)
    assert tiling.columns.tolist() == [0, 10, 15, 51, 61, 71, 80]
    counted = np.zeros(100)
    for column in tiling.columns:
        counted[column : column + 20] += tiling.weights(column)
    np.testing.assert_allclose(counted[tiling.coverage > 0], 1)


def test_windows_with_gaps_are_excluded_if_wanted(made):
    signal = beats(20, 100)
    signal[1, 900:950] = np.nan
    with pytest.raises(DataError, match=r"50 values .* 'II' at 9\.000 s.*on_invalid='skip'"):
        made.encode(signal, sampling_rate_hz=100, channels=LEADS)
    found, report = made.encode_with_report(
        signal, sampling_rate_hz=100, channels=LEADS, on_invalid="skip", output="columns"
    )
    assert np.isnan(found[0, 45:47]).all()
    assert np.isfinite(found[0, :45]).all()
    assert np.isfinite(found[0, 48:]).all()
    assert "around values that are not finite" in report.of("rejected")[0].text


def test_what_cannot_be_encoded_is_nan_if_wanted(made):
    signals = [beats(5, 100), np.zeros((3, 500)), beats(0.1, 100), np.full((3, 500), np.nan)]
    found, report = made.encode_with_report(
        signals, sampling_rate_hz=100, channels=LEADS, on_invalid="skip"
    )
    assert np.isfinite(found).all(axis=1).tolist() == [True, False, False, False]
    names = {note.recording for note in report.of("rejected")}
    assert names == {"recording 1", "recording 2", "recording 3"}


@pytest.mark.parametrize("output", ["pooled", "channels", "columns", "tokens"])
def test_what_cannot_be_encoded_has_the_shape_of_the_rest(made, output):
    signals = np.stack([beats(8, 100), beats(8, 100)])
    signals[1] = np.nan
    given = {"sampling_rate_hz": 100, "channels": LEADS, "output": output}
    found = made.encode(signals, on_invalid="skip", **given)
    assert found[0].shape == made.encode(signals[0], **given)[0].shape
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()


def test_a_unit_may_be_unknown_and_a_gain_is_one_for_each_channel(made):
    given = {"sampling_rate_hz": 100, "channels": LEADS}
    wanted = made.encode(beats(5, 100), **given)
    for units in (None, ["mV", None, ""]):
        np.testing.assert_array_equal(made.encode(beats(5, 100), units=units, **given), wanted)
    with pytest.raises(DataError, match=r"has 3 channels, but gain has shape \(2,\)"):
        made.encode(beats(5, 100), gain=[1.0, 2.0], **given)


@pytest.mark.parametrize(
    ("index", "rate_hz", "message"),
    [
        (np.delete(np.arange(620), slice(300, 320)), 100, "jumps from 299 to 320"),
        (np.arange(600) / 100, 200, "is 100 samples per second, but sampling_rate_hz is 200"),
        (np.arange(600) / 100, 100, ""),
        (np.round(np.arange(600) / 120, 2), 120, ""),
        (np.arange(600) * np.timedelta64(10, "ms"), 100, ""),
        (np.arange(600) * np.timedelta64(10, "ms"), 50, "is 100 samples per second"),
        (np.arange(7, 607), 100, ""),
    ],
)
def test_the_index_of_a_frame_has_a_say(made, index, rate_hz, message):
    frame = pd.DataFrame(beats(6, 100).T, columns=LEADS, index=index)
    if message:
        with pytest.raises(DataError, match=message):
            made.encode(frame, sampling_rate_hz=rate_hz)
    else:
        plain = made.encode(frame.reset_index(drop=True), sampling_rate_hz=rate_hz)
        np.testing.assert_array_equal(made.encode(frame, sampling_rate_hz=rate_hz), plain)


def test_an_hour_takes_the_memory_of_some_batches(made):
    """As float32 windows the hour would take three times what is allowed here."""
    arguments = {"sampling_rate_hz": 250, "channels": LEADS, "overlap": 0.25}
    hour = np.tile(beats(60, 250, leads=3).astype(np.float32), 60)
    made.encode(hour[:, :15_000], **arguments)  # what compiling takes is not counted
    tracemalloc.start()
    found, report = made.encode_with_report(hour, **arguments)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.num_windows == 1200
    assert np.isfinite(found).all()
    assert 3 * peak < 1200 * 3 * 400 * 4


def test_throughput_is_measured_of_arrays_and_files(made, tmp_path):
    signal = beats(5, 125, leads=2).astype(np.float32)
    for number in range(3):
        path = tmp_path / f"{number}.npz"
        np.savez(path, signal=signal, channels=["II", "PLETH"], fs=125.0, subject=str(number))
    found = measure_files(made, sorted(map(str, tmp_path.iterdir())), repeats=1)
    assert (found.recordings, found.windows) == (3, 6)
    found = measure_arrays(
        made, channels=LEADS, seconds=4, sampling_rate_hz=100, num_recordings=4, repeats=1
    )
    assert str(found).endswith(f"(4 recordings, 4 windows, {found.seconds:.2f} s, cpu)")


def test_it_is_loaded_by_the_checkpoint_alone(tmp_path, made):
    loaded = Encoder.from_checkpoint(write_run(tmp_path / "run"), batch_size=16, num_devices=1)
    signal = beats(5, 100)
    wanted = made.encode(signal, sampling_rate_hz=100, channels=LEADS)
    found = loaded.encode(signal, sampling_rate_hz=100, channels=LEADS)
    np.testing.assert_array_equal(found, wanted)
    assert loaded.fingerprint == made.fingerprint
    assert "100 Hz; others are resampled" in loaded.describe()


def test_a_damaged_contract_is_reported(tmp_path):
    folder = write_run(tmp_path / "run")
    path = folder / "checkpoints" / "1" / "model_spec" / "metadata"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"checkpoints/1 is damaged: model_spec/metadata"):
        Encoder.from_checkpoint(folder)


def test_a_folder_without_checkpoints_is_named(tmp_path):
    for folder, reason in ((tmp_path, "holds no checkpoints"), (tmp_path / "no", "is not there")):
        with pytest.raises(UserError, match=reason):
            Encoder.from_checkpoint(folder)
        assert not (folder / "checkpoints").exists()


@pytest.mark.parametrize(
    ("signal", "changes", "message"),
    [
        (beats(5, 100), {"sampling_rate_hz": None}, "sampling_rate_hz is missing"),
        (beats(5, 100), {"sampling_rate_hz": -1}, "sampling_rate_hz is -1"),
        (beats(5, 100), {"channels": None}, "channels is missing"),
        (beats(5, 100).T, {}, r"\(500, 3\), but 3 channels .* give signal\.T"),
        (beats(5, 100)[:2], {}, r"\(2, 500\), but 3 channels"),
        (beats(5, 100), {"channels": ["I", "II", "V7"]}, "'V7' is not in .* Did you mean .*V6"),
        (beats(5, 100), {"channels": ["I", "II", "MLII"]}, "2 channels named 'II'"),
        ((beats(5, 100) * 200).astype(np.int16), {}, r"int16, .*\(ADU\); give gain="),
        (beats(5, 100), {"units": ["mV", "mmHg", ""]}, "'II' must be in mV .*got mmHg"),
        (beats(5, 100)[:, :1], {}, "one sample of each of 3 channels"),
        (beats(5, 100)[:1, :1], {"channels": ["I"]}, r"\(1 samples\), less than the 0.2 s"),
        (np.zeros((3, 500)), {}, "no channel of it ever varies"),
        (beats(5, 100).astype(str), {}, "is an array of <U"),
        (beats(5, 100), {"output": "mean"}, "output is 'mean'; choose one of pooled"),
        (beats(5, 100), {"overlap": 1.0}, "overlap is 1; it must be a number from 0 to below 1"),
        ([], {}, "the list is empty"),
    ],
)
def test_what_is_wrong_is_named_with_a_way_out(made, signal, changes, message):
    arguments = {"sampling_rate_hz": 100, "channels": LEADS} | changes
    with pytest.raises(UserError, match=message):
        made.encode(signal, **arguments)


def test_counts_of_known_gain_or_said_to_be_counts_are_taken(made):
    signal = beats(5, 100)
    counts = np.round(signal * 20_000).astype(np.int32)
    arguments = {"sampling_rate_hz": 100, "channels": LEADS}
    wanted = made.encode(signal, **arguments)
    for said in ({"gain": 20_000}, {"units": "adu"}, {"gain": [20_000, 10_000, 5]}):
        ALIKE(made.encode(counts, **said, **arguments), wanted, atol=1e-3)


def test_channels_the_model_does_not_know_can_be_excluded(made):
    signal = beats(5, 100)
    found, report = made.encode_with_report(
        signal, sampling_rate_hz=100, channels=["I", "snore", "II"], unknown_channels="exclude"
    )
    wanted = made.encode(signal[[0, 2]], sampling_rate_hz=100, channels=["I", "II"])
    ALIKE(found, wanted)
    assert "does not know: snore" in report.of("rejected")[0].text


def test_recordings_without_a_known_channel_are_rejected_whole(made):
    signals = [beats(5, 100), beats(5, 100)]
    given = {"channels": [LEADS, ["a", "b", "c"]], "sampling_rate_hz": 100}
    found, report = made.encode_with_report(
        signals, unknown_channels="exclude", on_invalid="skip", **given
    )
    assert np.isfinite(found).all(axis=1).tolist() == [True, False]
    assert "has no channel that the model knows: it has a, b, c" in report.of("rejected")[0].text
    with pytest.raises(DataError, match="no channel that the model knows"):
        made.encode(signals, unknown_channels="exclude", **given)


def test_nan_in_a_channel_that_is_excluded_does_not_matter(made):
    signal = beats(5, 100)
    signal[1, 7] = np.nan
    given = {"sampling_rate_hz": 100, "unknown_channels": "exclude"}
    found = made.encode(signal, channels=["I", "snore", "II"], **given)
    assert np.isfinite(made.encode(signal[[0, 2]], channels=["I", "II"], **given)).all()
    assert np.isfinite(found).all()


def test_a_report_says_each_thing_once(made):
    signals = [beats(5, 250)[[1, 0]], beats(3, 250)[[1, 0]]]
    _, report = made.encode_with_report(signals, sampling_rate_hz=250, channels=["MLII", "I"])
    assert str(report).splitlines() == [
        "recordings 2 of 8 s in all, 3 windows of 4 s",
        "resampled  from 250 to 100 Hz",
        "renamed    MLII is II",
        "reordered  II, I -> I, II",
        "padded     from 3 to 4 s, masked (1 of 2 recordings: recording 1)",
        "nothing    converted, masked, rejected",
    ]


def test_an_encoder_trained_on_single_channels_gets_them_one_by_one():
    made = encoder(input={"num_channels": 1})
    signal = beats(4, 100)
    arguments = {"sampling_rate_hz": 100}
    rows = made.encode(signal, channels=LEADS, output="channels", **arguments)[0]
    for row, name in enumerate(LEADS):
        alone = made.encode(signal[row], channels=[name], **arguments)[0]
        ALIKE(rows[row], alone)

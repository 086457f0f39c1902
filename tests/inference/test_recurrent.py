"""A recurrent stream gives what the whole recording gives, however its samples arrive."""

import functools

import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference.recurrent.offline import encode_offline
from physio_mae_jax.inference.recurrent.trailing import TrailingSums, column_sums
from tests.encoders import beats, encoder

LEADS = ("II", "PPG")
STATE_SPACE = {"time_mixer": "state_space", "state_size": 8, "depth": 2}
# Columns of 0.2 s; wavelets reach 1.9 s.
BLOCK_SECONDS = 1.0


@pytest.fixture(scope="module")
def made():
    return encoder(**STATE_SPACE)


@functools.cache
def signal(rate_hz: float = 100.0, seconds: float = 13.3) -> np.ndarray:
    """Return beats and noise [2, n] with an offset that drifts and sizes that change."""
    values = beats(seconds, rate_hz, leads=2)
    values = values + 0.1 * np.random.default_rng(1).normal(size=values.shape)
    values[0] *= np.linspace(1, 3, values.shape[1])
    return values + np.array([[800.0], [-3.0]]) + np.linspace(0, 2, values.shape[1])


def opened(made, rate_hz=100.0, **changes):
    given = {"sampling_rate_hz": rate_hz, "channels": LEADS, "lookahead_seconds": BLOCK_SECONDS}
    return made.stream(mode="recurrent", **given | {"output": "columns"} | changes)


def rows_of(stream, values, chunk):
    rows = []
    for begin in range(0, values.shape[1], chunk):
        rows += stream.push(values[:, begin : begin + chunk])
    return [*rows, *stream.flush()]


def comparable(rows):
    return [
        (row.start_seconds, row.end_seconds, row.rejected, row.masked, row.embedding.tobytes())
        for row in rows
    ]


def offline(made, values, rate_hz=100.0, **changes):
    given = {"sampling_rate_hz": rate_hz, "channels": LEADS, "lookahead_seconds": BLOCK_SECONDS}
    return encode_offline(made, values, **given | changes)


def with_gaps(values, rate_hz=100.0):
    values = values.copy()
    for row, first, last in ((0, 0.0, 0.05), (1, 3.31, 3.5), (0, 7.9, 10.15)):
        values[row, round(first * rate_hz) : round(last * rate_hz)] = np.nan
    return values


@pytest.mark.parametrize("rate_hz", [100.0, 250.0])
@pytest.mark.parametrize("gaps", [False, True])
def test_rows_are_those_of_the_whole_recording(made, rate_hz, gaps):
    values = with_gaps(signal(rate_hz), rate_hz) if gaps else signal(rate_hz)
    rows = rows_of(opened(made, rate_hz), values, 7)
    wanted = offline(made, values, rate_hz)
    found = np.concatenate([row.embedding for row in rows])
    assert found.shape == wanted.shape == (66, 32)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    missing = np.flatnonzero(np.isnan(found).all(axis=1))
    assert missing.tolist() == ([0, 16, 17, *range(39, 51)] if gaps else [])
    scale = np.nanmax(np.abs(wanted))
    np.testing.assert_allclose(found / scale, wanted / scale, atol=1e-5)
    assert [row.rejected for row in rows] == [
        "gap" if gaps and second in (8, 9) else "" for second in range(14)
    ]


def test_the_size_of_chunks_changes_nothing():
    filtered = encoder(input={"band_hz": (1.0, 30.0)}, **STATE_SPACE)
    values = with_gaps(signal(250.0), 250.0)
    found = [
        comparable(rows_of(opened(filtered, 250.0), values, chunk)) for chunk in (1, 7, 250, 10_000)
    ]
    assert len(found[0]) == 14
    assert all(one == found[0] for one in found)


def test_what_comes_later_changes_no_row(made):
    values, other = signal().copy(), signal().copy()
    other[:, 700:] = np.random.default_rng(2).normal(size=(2, 630))
    first, second = (comparable(opened(made).push(one)) for one in (values, other))
    # A block of 1 s, and the reach of the wavelets after it.
    reach = opened(made).delay_seconds
    assert 1 < reach < 3
    same = [one == two for one, two in zip(first, second, strict=True)]
    known = [row[1] + reach <= 7.0 for row in first]
    assert same == known
    assert sum(known) >= 4


def test_a_row_is_given_after_the_delay_at_the_latest(made):
    stream, values = opened(made, 250.0), signal(250.0)
    given = []
    for sample in range(values.shape[1]):
        for row in stream.push(values[:, sample : sample + 1]):
            given.append(row)
            assert row.end_seconds <= stream.seconds
            assert stream.seconds <= row.end_seconds + stream.delay_seconds + 1e-9
    assert len(given) >= 10


def test_all_that_came_before_counts(made):
    """Unlike in a window, which forgets what is outside it."""
    values = signal(seconds=40.0)
    other = values.copy()
    other[:, :300] = other[:, :300][::-1]
    first, second = (opened(made).push(one)[-1].embedding for one in (values, other))
    assert np.abs(first - second).max() > 0


def test_a_stream_continues_anywhere_as_if_it_was_never_interrupted(made, tmp_path):
    values = with_gaps(signal())
    wanted = comparable(rows_of(opened(made), values, 10_000))
    for cut in (0, 1, 3, 331, 640, 1000, values.shape[1]):
        stream = opened(made)
        rows = stream.push(values[:, :cut])
        again = opened(made).resume(stream.save(tmp_path / "state"))
        rows += [*again.push(values[:, cut:]), *again.flush()]
        assert comparable(rows) == wanted
    done = opened(made).resume(again.save(tmp_path / "state"))
    with pytest.raises(DataError, match="the stream has ended: flush was called"):
        done.push(values)
    with pytest.raises(DataError, match="with hop_columns=5; this one has hop_columns=10"):
        opened(made, lookahead_seconds=2.0).resume(tmp_path / "state")
    with pytest.raises(ConfigError, match="already pushed"):
        again.resume(tmp_path / "state")


def test_streams_share_nothing(made):
    values = signal(), signal()[::-1]
    wanted = [comparable(rows_of(opened(made), one, 10_000)) for one in values]
    streams, rows = [opened(made) for _ in values], [[], []]
    for begin in range(0, signal().shape[1], 50):
        for number, one in enumerate(values):
            rows[number] += streams[number].push(one[:, begin : begin + 50])
    for number, stream in enumerate(streams):
        assert comparable([*rows[number], *stream.flush()]) == wanted[number]


def test_memory_is_constant(made, tmp_path):
    stream, values = opened(made), signal()
    sizes = []
    for _ in range(6):
        stream.push(values)
        sizes.append(stream.save(tmp_path / "state").stat().st_size)
    assert max(sizes[1:]) < 1.2 * sizes[0]


def test_a_pooled_row_is_the_mean_of_its_columns(made):
    values = with_gaps(signal())
    columns = rows_of(opened(made), values, 1000)
    pooled = rows_of(opened(made, output="pooled"), values, 1000)
    for one, all_of_it in zip(pooled, columns, strict=True):
        if not one.rejected:
            mean = np.nanmean(all_of_it.embedding, axis=0)
            np.testing.assert_allclose(one.embedding, mean, atol=1e-5)
        else:
            assert np.isnan(one.embedding).all()
            assert one.embedding.shape == (32,)


def test_flat_channels_are_named_and_a_flat_signal_rejected(made):
    values = signal().copy()
    values[1] = 7.0
    assert {row.masked for row in rows_of(opened(made), values, 100)} == {("PPG",)}
    values[0] = -1.0
    assert {row.rejected for row in rows_of(opened(made), values, 100)} == {"flat"}


def test_offsets_and_units_change_nothing(made):
    plain = np.concatenate([row.embedding for row in rows_of(opened(made), signal(), 100)])
    moved = 1000 * signal() + 1e6
    found = np.concatenate([row.embedding for row in rows_of(opened(made), moved, 100)])
    np.testing.assert_allclose(found, plain, atol=1e-3 * np.abs(plain).max())


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.5, 1.0])
def test_a_short_signal_is_as_offline(made, seconds):
    values = signal()[:, : round(seconds * 100)]
    rows = rows_of(opened(made), values, 7)
    wanted = offline(made, values)
    assert sum(len(row.embedding) for row in rows) == len(wanted) == int(seconds * 5)
    if rows:
        np.testing.assert_allclose(
            np.concatenate([row.embedding for row in rows]), wanted, atol=1e-4
        )


def test_statistics_are_those_of_the_last_columns():
    values = np.random.default_rng(0).normal(3, 2, (2, 40))
    sums = TrailingSums.empty((2,))
    valid = np.array([True, False, True, True])
    for begin in (0, 20):
        part = column_sums(values[:, begin : begin + 20], 5)
        sums = sums.extended(part, valid, 6)
    kept = values.reshape(2, 8, 5)[:, [2, 3, 4, 6, 7]].reshape(2, -1)
    found = sums.statistics(5)
    np.testing.assert_allclose(found.mean, kept.mean(axis=1))
    np.testing.assert_allclose(found.std, kept.std(axis=1, ddof=1))
    flat = TrailingSums.empty((1,)).extended(column_sums(np.full((1, 10), 0.1), 5), valid[2:], 6)
    assert flat.statistics(5).std == 0


def test_models_that_look_further_ahead_are_named(made):
    hybrid = encoder(**STATE_SPACE, attention_every=2)
    with pytest.raises(ConfigError, match=r"has model\.attention_every=2, layers of attention"):
        opened(hybrid)
    with pytest.raises(ConfigError, match=r"has model\.time_mixer='attention'"):
        opened(encoder())
    with pytest.raises(ConfigError, match=r"lookahead_seconds is 0\.3, not a whole number"):
        opened(made, lookahead_seconds=0.3)
    with pytest.raises(ConfigError, match="mode='recurrent' does not use it"):
        opened(made, hop_seconds=1.0)
    with pytest.raises(ConfigError, match="mode='window' does not use it"):
        made.stream(lookahead_seconds=1.0, sampling_rate_hz=100, channels=LEADS)
    with pytest.raises(ConfigError, match="mode is 'rnn'; choose 'window' or 'recurrent'"):
        made.stream(mode="rnn", sampling_rate_hz=100, channels=LEADS)
    with pytest.raises(ConfigError, match="a stream gives 'pooled' or 'columns'"):
        opened(made, output="tokens")


def test_the_model_may_say_how_far_to_look_ahead():
    limited = encoder(**STATE_SPACE, lookahead_seconds=0.6)
    assert opened(limited, lookahead_seconds=None).lookahead_seconds == pytest.approx(0.6)

"""A stream gives the rows of a whole recording, however its samples arrive."""

import functools

import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError, DataError
from tests.encoders import beats, encoder

LEADS = ("II", "PPG")
RATES = (100.0, 250.0, 1000.01)  # as the model, by a polyphase filter, by interpolation


@pytest.fixture(scope="module")
def made():
    return encoder(input={"band_hz": (1.0, 30.0)}), encoder()


@functools.cache
def signal(rate_hz: float, seconds: float = 11.3) -> np.ndarray:
    """Return beats and noise [2, n], so that all windows differ."""
    values = beats(seconds, rate_hz, leads=2)
    return values + 0.1 * np.random.default_rng(1).normal(size=values.shape)


def opened(made, rate_hz=100.0, **changes):
    given = {"sampling_rate_hz": rate_hz, "channels": LEADS, "hop_seconds": 2.0} | changes
    return made.stream(**given)


def rows_of(stream, values, chunk):
    rows = []
    for begin in range(0, values.shape[1], chunk):
        rows += stream.push(values[:, begin : begin + chunk])
    return [*rows, *stream.flush()]


def by_column(rows):
    """Return what a list of rows holds, as comparable values."""
    return [
        (row.start_seconds, row.end_seconds, row.rejected, row.masked, row.embedding.tobytes())
        for row in rows
    ]


def whole(made, values, rate_hz, **changes):
    """Encode a whole recording window by window, with batches of one."""
    alone = type(made)(made.trained, batch_size=1, num_devices=1)
    given = {"sampling_rate_hz": rate_hz, "channels": LEADS, "on_invalid": "skip"} | changes
    found = alone.encode_with_report(values, rows="window", **given)
    return found.embeddings[0], found.report.windows[0]


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("which", [0, 1], ids=["band-pass", "no filter"])
def test_rows_are_those_of_the_whole_recording_bit_for_bit(made, rate_hz, which):
    values = signal(rate_hz)
    wanted, times = whole(made[which], values, rate_hz)
    stream = opened(made[which], rate_hz)
    rows = rows_of(stream, values, 250)
    assert [row.start_seconds for row in rows] == times.start_seconds.tolist()
    assert [row.end_seconds for row in rows] == times.end_seconds.tolist()
    assert np.stack([row.embedding for row in rows]).tobytes() == wanted.tobytes()


def test_a_row_is_encode_of_the_same_samples_bit_for_bit(made):
    values = signal(100.0)
    for row in opened(made[1]).push(values):
        first = round(row.start_seconds * 100)
        given = {"sampling_rate_hz": 100, "channels": LEADS, "rows": "window"}
        alone = made[1].encode(values[:, first : first + 400], **given)
        assert row.embedding.tobytes() == alone[0, 0].tobytes()
    columns = opened(made[1], output="columns").push(values[:, :400])[0].embedding
    given = {"sampling_rate_hz": 100, "channels": LEADS, "output": "columns"}
    assert columns.tobytes() == made[1].encode(values[:, :400], **given).tobytes()


@pytest.mark.parametrize("rate_hz", RATES)
def test_the_size_of_chunks_changes_nothing(made, rate_hz):
    values = signal(rate_hz, 9.0).copy()
    values[1, round(4.5 * rate_hz) : round(4.6 * rate_hz)] = np.nan
    found = [
        by_column(rows_of(opened(made[0], rate_hz), values, chunk)) for chunk in (1, 7, 250, 10_000)
    ]
    assert len(found[0]) == 4
    assert all(one == found[0] for one in found)


def test_windows_may_be_further_apart_than_they_are_long(made):
    found = []
    for chunk in (7, 10_000):
        rows = rows_of(opened(made[1], 250.0, hop_seconds=5.0), signal(250.0), chunk)
        assert [row.start_seconds for row in rows] == [0, 5, pytest.approx(7.2)]
        found.append(by_column(rows))
    assert found[0] == found[1]


def test_a_gap_rejects_the_windows_that_it_touches(made):
    values = signal(250.0).copy()
    values[0, 1400:1410] = np.inf
    wanted, times = whole(made[1], values, 250.0)
    rows = rows_of(opened(made[1], 250.0), values, 250)
    assert [row.rejected for row in rows] == times.rejected.tolist()
    assert {row.rejected for row in rows} == {"", "gap"}
    np.testing.assert_array_equal([row.embedding for row in rows], wanted)


def test_a_channel_without_values_in_a_window_is_absent_from_it(made):
    values = signal(100.0).copy()
    values[1, 400:] = np.nan
    rows = opened(made[1], hop_seconds=4.0).push(values)
    assert [row.masked for row in rows] == [(), ("PPG",)]
    given = {"sampling_rate_hz": 100, "rows": "window"}
    alone = made[1].encode(values[:, 400:800], channels=LEADS, on_invalid="skip", **given)
    assert rows[1].embedding.tobytes() == alone[0, 0].tobytes()
    values[0, 400:] = np.nan
    assert [row.rejected for row in opened(made[1]).push(values)] == ["", "gap", "gap", "gap"]
    values[:, 400:] = 3.0
    rejected = [row.rejected for row in opened(made[1], hop_seconds=4.0).push(values)]
    assert rejected == ["", "flat"]


@pytest.mark.parametrize("rate_hz", RATES)
def test_a_row_is_given_after_the_delay_at_the_latest(made, rate_hz):
    stream, values = opened(made[0], rate_hz), signal(rate_hz)
    for sample in range(values.shape[1]):
        for row in stream.push(values[:, sample : sample + 1]):
            assert row.end_seconds <= stream.seconds
            assert stream.seconds <= row.end_seconds + stream.delay_seconds + 1e-9
    assert opened(made[1]).delay_seconds == 0


@pytest.mark.parametrize("seconds", [0.0, 0.1, 1.0, 4.0, 5.1])
def test_the_end_is_that_of_a_recording(made, seconds):
    values = signal(100.0)[:, : round(seconds * 100)]
    rows = rows_of(opened(made[1]), values, 7)
    if seconds < 0.2:
        assert rows == []
        return
    wanted, times = whole(made[1], values, 100.0)
    assert [row.end_seconds for row in rows] == times.end_seconds.tolist()
    np.testing.assert_array_equal([row.embedding for row in rows], wanted)


def test_a_stream_continues_anywhere_as_if_it_was_never_interrupted(made, tmp_path):
    values = signal(250.0).copy()
    values[0, 1400:1410] = np.nan
    wanted = by_column(rows_of(opened(made[1], 250.0), values, 10_000))
    for cut in (0, 1, 999, 1000, 1013, 2500, values.shape[1]):
        stream = opened(made[1], 250.0)
        rows = stream.push(values[:, :cut])
        path = stream.save(tmp_path / "state.npz")
        again = opened(made[1], 250.0).resume(path)
        rows += [*again.push(values[:, cut:]), *again.flush()]
        assert by_column(rows) == wanted
    done = opened(made[1], 250.0).resume(again.save(path))
    with pytest.raises(DataError, match="the stream has ended: flush was called"):
        done.push(values)


def test_streams_share_nothing(made):
    values, other = signal(100.0), signal(100.0)[::-1]
    wanted = [by_column(rows_of(opened(made[1]), one, 10_000)) for one in (values, other)]
    streams = [opened(made[1]) for _ in range(2)]
    rows: list[list] = [[], []]
    for begin in range(0, values.shape[1], 50):
        for number, one in enumerate((values, other)):
            rows[number] += streams[number].push(one[:, begin : begin + 50])
    for number, stream in enumerate(streams):
        assert by_column([*rows[number], *stream.flush()]) == wanted[number]


def test_memory_is_bounded(made):
    stream, chunk = opened(made[1], hop_seconds=2.0), np.tile(signal(100.0)[:, :1000], 10)
    stream._encode = lambda window: np.zeros(32, np.float32)
    sizes = []
    for _ in range(36):  # an hour
        stream.push(chunk)
        sizes.append(stream._buffer._values.nbytes)
    assert stream.seconds == 3600
    assert max(sizes) <= 2 * 2 * (400 + 200 + 200) * 8


def test_integers_with_a_gain_are_counts(made):
    counts = np.round(signal(100.0) * 1000).astype(np.int16)
    rows = rows_of(opened(made[1], gain=1000.0), counts, 250)
    wanted, _ = whole(made[1], counts, 100.0, gain=1000.0)
    np.testing.assert_array_equal([row.embedding for row in rows], wanted)
    stream = opened(made[1], gain=1000.0)
    stream.push(counts)
    with pytest.raises(DataError, match="the samples are float64, but the stream began with int16"):
        stream.push(signal(100.0))
    with pytest.raises(DataError, match="looks like ADC counts"):
        opened(made[1]).push(counts)


def test_wrong_input_is_named(made):
    with pytest.raises(DataError, match="'PPGG'"):
        opened(made[1], channels=("II", "PPGG"))
    with pytest.raises(DataError, match="sampling_rate_hz is missing"):
        made[1].stream(channels=LEADS)
    with pytest.raises(DataError, match="channels is"):
        made[1].stream(sampling_rate_hz=100)
    with pytest.raises(ConfigError, match=r"hop_seconds is 0\.33, not a whole number"):
        opened(made[1], hop_seconds=0.33)
    with pytest.raises(ConfigError, match="'tokens'; a stream gives 'pooled' or 'columns'"):
        opened(made[1], output="tokens")
    with pytest.raises(ConfigError, match="'rate' is not an argument"):
        made[1].stream(rate=100)
    stream = opened(made[1])
    for shape in ((3, 10), (10,), (2, 2, 10)):
        with pytest.raises(DataError, match=r"\[2, n\] is expected, a row for each of II, PPG"):
            stream.push(np.zeros(shape))
    with pytest.raises(DataError, match=r"give samples\.T"):
        stream.push(np.zeros((10, 2)))
    stream.flush()
    for call in (stream.flush, lambda: stream.push(np.zeros((2, 1)))):
        with pytest.raises(DataError, match="the stream has ended"):
            call()


def test_a_channel_that_only_counts_ends_the_stream(made):
    stream, values = opened(made[1]), signal(100.0).copy()
    values[1] = np.arange(values.shape[1])
    stream.push(values[:, :399])
    for _ in range(2):
        with pytest.raises(DataError, match=r"PPG.*(constant step|only counts)|only counts"):
            stream.push(values[:, 399:])

"""One embedding per window: times, gaps as rows, and the values of the windows alone."""

import functools
import tracemalloc

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference.encoding_config import EncodingConfig
from physio_mae_jax.inference.overlap_averager import average_windows
from physio_mae_jax.inference.recording_plan import plan_recordings
from physio_mae_jax.inference.window_batches import window_batches
from physio_mae_jax.inference.window_rows import clock_times
from tests.encoders import beats, encoder
from tests.long_recordings import LEADS, START, GeneratedRecording, write_wfdb
from tests.vendor_files import read_all

ALIKE = functools.partial(np.testing.assert_allclose, atol=2e-5, rtol=0)
GIVEN = {"sampling_rate_hz": 100, "channels": LEADS}


@pytest.fixture(scope="module")
def made():
    return encoder()


def varied(seconds: float) -> np.ndarray:
    """Return beats whose windows all differ."""
    signal = beats(seconds, 100)
    return signal + 0.1 * np.random.default_rng(1).normal(size=signal.shape)


def test_a_row_is_the_embedding_of_its_window_alone(made):
    signal = varied(13)
    rows, report = made.encode_with_report(signal, rows="window", **GIVEN)
    (times,) = report.windows
    assert times.start_seconds.tolist() == [0, 2, 4, 6, 8, 9]
    assert times.end_seconds.tolist() == [4, 6, 8, 10, 12, 13]
    assert set(times.rejected) == set(times.start_time) == {""}
    for row, start in zip(rows[0], times.start_seconds, strict=True):
        first = round(start * 100)
        ALIKE(row, made.encode(signal[:, first : first + 400], **GIVEN)[0])


def test_gaps_and_flat_windows_are_rows_of_nan(made):
    signal = varied(40)
    signal[1, 1050] = np.nan
    signal[:, 2000:2800] = 0.0
    rows, report = made.encode_with_report(
        signal, rows="window", overlap=0.0, on_invalid="skip", **GIVEN
    )
    (times,) = report.windows
    assert times.start_seconds.tolist() == list(range(0, 40, 4))
    assert times.rejected.tolist() == ["", "", "gap", "", "", "flat", "flat", "", "", ""]
    assert np.isnan(rows[0]).all(axis=1).tolist() == [why != "" for why in times.rejected]
    with pytest.raises(DataError, match="on_invalid='skip'"):
        made.encode(signal, rows="window", **GIVEN)


def test_a_recording_of_gaps_only_still_has_all_its_times(made):
    signal = varied(12)
    signal[:, ::200] = np.nan
    rows, report = made.encode_with_report(signal, rows="window", on_invalid="skip", **GIVEN)
    assert report.windows[0].rejected.tolist() == ["gap"] * 5
    assert np.isnan(rows).all()


def test_a_recording_shorter_than_a_window_ends_where_it_ends(made):
    rows, report = made.encode_with_report(varied(1), rows="window", **GIVEN)
    assert rows.shape == (1, 1, 32)
    assert report.windows[0].end_seconds.tolist() == [1.0]
    ALIKE(rows[0], made.encode(varied(1), **GIVEN))


def test_a_recording_without_a_known_channel_has_no_rows(made):
    signals = [varied(8), varied(8)[:1]]
    channels = [LEADS, ["snore"]]
    given = {"sampling_rate_hz": 100, "channels": channels, "unknown_channels": "exclude"}
    rows, report = made.encode_with_report(signals, rows="window", on_invalid="skip", **given)
    assert [len(one) for one in rows] == [3, 0]
    assert [len(times.start_seconds) for times in report.windows] == [3, 0]


def test_only_pooled_outputs_have_a_row_per_window(made):
    with pytest.raises(ConfigError, match="needs output='pooled'; got output='tokens'"):
        made.encode(varied(8), rows="window", output="tokens", **GIVEN)


def test_times_of_the_clock():
    assert clock_times(START, np.array([0.0, 10.25])).tolist() == [
        "2025-12-31T23:59:50.000",
        "2026-01-01T00:00:00.250",
    ]
    assert clock_times("", np.array([0.0, 1.0])).tolist() == ["", ""]


def test_a_file_gives_the_rows_of_its_array_and_the_times_of_its_clock(made, tmp_path):
    path = write_wfdb(tmp_path, beats(60, 250), 250)
    rows, report = made.encode_file(path, rows="window")
    signal = read_all(open_folder(tmp_path))
    whole = made.encode(signal, sampling_rate_hz=250, channels=LEADS, rows="window")
    ALIKE(rows[0], whole[0])
    assert report.windows[0].start_time[5] == "2026-01-01T00:00:00.000"


def _peak_without_compute(made, seconds: float, rows: str) -> int:
    """Return the peak memory of encoding, in bytes, without the result and the model."""
    source = GeneratedRecording(seconds)
    config = EncodingConfig(rows=rows, overlap=0.0)
    width = made.programs.config.width
    tracemalloc.start()
    plan = plan_recordings(source, made.input, config)
    batches = window_batches(plan, batch_size=16, num_devices=1, num_threads=2)
    encoded = ((batch, np.zeros((16, width), np.float32)) for batch in batches)
    (found,) = average_windows(plan, encoded, config.output, made.programs.config)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.num_windows == seconds / 4
    assert source.longest_read <= 410
    return peak - found.embedding.nbytes


@pytest.mark.parametrize("rows", ["recording", "window"])
def test_memory_does_not_grow_with_the_length(made, rows):
    _peak_without_compute(made, 40, rows)  # fills caches
    short, long = (_peak_without_compute(made, seconds, rows) for seconds in (600, 3600))
    added_bytes = 3000 * 100 * len(LEADS) * 4
    assert long - short < 0.1 * added_bytes

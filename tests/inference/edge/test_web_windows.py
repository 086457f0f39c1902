"""Scripts of the page make the windows that the streams of Python make."""

import numpy as np
import pytest

from physio_mae_jax.inference.edge.contract import fit_channels
from physio_mae_jax.inference.edge.web.page_files import vocabulary
from physio_mae_jax.inference.recording_plan import ModelInput
from physio_mae_jax.inference.signal_metadata import SignalMetadata
from physio_mae_jax.inference.streaming.stream import Stream
from physio_mae_jax.inference.window_batches import stack_windows
from physio_mae_jax.signals.preprocess import Resampler
from tests.encoders import beats, untrained
from tests.javascript import run_javascript

LEADS = ("PPG", "V1", "II")  # not in the order of the model
NUM_CHANNELS = 4
COLUMN_SAMPLES = 20

STREAM = """
import { WindowStream } from "./stream.js";
const stream = new WindowStream(given.model, given);
const rows = given.rows.map(numbers);
const found = [];
for (let at = 0; at < rows[0].length; at += given.chunk) {
  found.push(...stream.push(rows.map((row) => row.subarray(at, at + given.chunk))));
}
answer([...found, ...stream.flush()]);
"""
RAISES = """
import { WindowStream } from "./stream.js";
let said = "";
try {
  const stream = new WindowStream(given.model, given);
  stream.push(given.rows.map(numbers));
  stream.flush();
} catch (error) {
  said = `${error.name}: ${error.message}`;
}
answer(said);
"""


@pytest.fixture(scope="module")
def model():
    spec = untrained().model_spec
    return ModelInput(
        channels=spec.input.channels, window=spec.input.window, column_samples=COLUMN_SAMPLES
    )


def described(model: ModelInput) -> dict:
    """Return what ``readContract`` returns of such a model."""
    known = vocabulary()
    return {
        "numChannels": NUM_CHANNELS,
        "numColumns": model.num_columns,
        "columnSamples": model.column_samples,
        "numSamples": model.window.num_samples,
        "rateHz": model.window.sampling_rate_hz,
        "knownChannels": list(model.channels),
        "vocabulary": known["channels"],
        "maxRateHz": known["max_rate_hz"],
    }


def given_of(model, values, rate_hz, **changes):
    rows = [[None if not np.isfinite(value) else value for value in row] for row in values]
    given = {"model": described(model), "rateHz": rate_hz, "channels": LEADS, "hopSeconds": 2.0}
    return given | {"rows": rows, "chunk": 250} | changes


def windows_of_python(model, values, rate_hz):
    windows = []

    def keep(window):
        windows.append(fit_channels(stack_windows([window], 1), NUM_CHANNELS))
        return np.zeros(1, np.float32)

    of = SignalMetadata(sampling_rate_hz=rate_hz, channels=LEADS)
    stream = Stream(keep, model, (1,), "", description=of, hop_seconds=2.0)
    rows = [*stream.push(values), *stream.flush()]
    return rows, windows


def signal(rate_hz: float, seconds: float = 11.3) -> np.ndarray:
    """Return beats and noise [3, n], so that all windows differ."""
    values = beats(seconds, rate_hz, leads=3)
    return values + 0.1 * np.random.default_rng(1).normal(size=values.shape)


def changed(name: str) -> np.ndarray:
    """Return a signal at 250 Hz that is difficult in one respect."""
    values = signal(250.0)
    if name == "gap":
        values[2, 1400:1410] = np.nan
    elif name == "absent":
        values[1, 900:] = np.nan
    elif name == "flat":
        values[0] = 0.7
    elif name == "none":
        values[:, 1500:] = np.nan
    elif name == "offset":
        values[2] += 3e5
        values[1] -= 2e9
    elif name == "range":
        values[0] *= 1e-15
        values[1] *= 1e18
        values[2] = 1e12
    elif name == "artifact":
        values[0, 600:604] = 500.0
    return values


def compare(found, rows, windows) -> None:
    assert [one["startSeconds"] for one in found] == pytest.approx(
        [row.start_seconds for row in rows]
    )
    assert [one["endSeconds"] for one in found] == pytest.approx([row.end_seconds for row in rows])
    assert [one["rejected"] for one in found] == [row.rejected for row in rows]
    assert [tuple(one["masked"]) for one in found] == [row.masked for row in rows]
    made = [one["window"] for one in found if not one["rejected"]]
    assert len(made) == len(windows)
    for one, window in zip(made, windows, strict=True):
        for name in ("channel_mask", "channel_ids", "column_weight"):
            np.testing.assert_array_equal(np.asarray(one[name]), window[name][0], name)
        np.testing.assert_allclose(one["signal"], window["signal"].ravel(), rtol=0, atol=2e-5)


@pytest.mark.parametrize("rate_hz", [100.0, 64.0, 125.0, 130.0, 250.0, 360.0, 1000.01, 99.9871])
def test_windows_are_those_of_python_at_any_rate(model, rate_hz, tmp_path):
    values = signal(rate_hz)
    found = run_javascript(tmp_path, STREAM, given_of(model, values, rate_hz))
    compare(found, *windows_of_python(model, values, rate_hz))


@pytest.mark.parametrize("name", ["gap", "absent", "flat", "none", "offset", "range", "artifact"])
def test_windows_are_those_of_python_for_any_samples(model, name, tmp_path):
    values = changed(name)
    found = run_javascript(tmp_path, STREAM, given_of(model, values, 250.0))
    compare(found, *windows_of_python(model, values, 250.0))


@pytest.mark.parametrize("chunk", [1, 7, 10_000])
def test_the_size_of_chunks_changes_nothing(model, chunk, tmp_path):
    given = given_of(model, changed("gap"), 250.0)
    wanted = run_javascript(tmp_path, STREAM, given)
    assert run_javascript(tmp_path, STREAM, given | {"chunk": chunk}) == wanted


def test_ratios_and_spans_are_those_of_python(tmp_path):
    rates = [64.0, 100.0, 128.0, 130.0, 250.0, 256.0, 333.333, 360.0, 999.9, 1000.01, 51.2]
    code = """
    import { Resampler } from "./signal.js";
    answer(given.map(([rate, start]) => {
      const change = new Resampler(rate, 100);
      const { first, last, offset } = change.sourceSpan(start, 400, 1e9);
      return [`${change.up}/${change.down}`, first, last, offset, change.lengthAfter(start)];
    }));
    """
    cases = [(rate, start) for rate in rates for start in (0, 7, 400, 8_640_000)]
    found = run_javascript(tmp_path, code, cases)
    for (rate, start), one in zip(cases, found, strict=True):
        change = Resampler.between(rate, 100.0)
        span = change.source_span(start, 400, 10**9)
        assert one == [f"{change.up}/{change.down}", *span, change.length_after(start)], rate


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rateHz": 3}, "Wrong sampling rate: The sampling rate is 3 Hz; PPG needs 10 to 50000"),
        ({"rateHz": None}, "Wrong sampling rate"),
        ({"hopSeconds": 0.33}, "Wrong hop: A hop of 0.33 s is not a whole number"),
        ({"hopSeconds": 0}, "Wrong hop"),
        ({"channels": ["II", "V1", "XYZ"]}, "Unknown channel: Channel “XYZ” is not known"),
        ({"channels": ["II", "V1", "II"]}, "Channel given twice: Two rows are called “II”"),
        ({"channels": []}, "Wrong number of channels: 0 channels are chosen; the graph takes 1"),
        ({"rows": [[1], [2]]}, "Wrong samples: 2 rows of 1, 1 samples were received; 3 rows"),
        ({"rows": [[1], [2], [3, 4]]}, "Wrong samples"),
        ({"rows": [[1, 2]] * 3}, "Signal too short: The signal lasts 0.01 s; a window needs 4.00"),
        ({"rows": [list(range(2000))] * 3}, "Not a signal: Channel “PPG” increases by a constant"),
    ],
)
def test_wrong_input_is_named(model, changes, said, tmp_path):
    given = given_of(model, signal(250.0), 250.0, **changes)
    assert run_javascript(tmp_path, RAISES, given).startswith(said)

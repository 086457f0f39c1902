"""What an index of a frame says of time is held against the rate, whatever kind it is of."""

import numpy as np
import pandas as pd
import pytest

from physio_mae_jax.data.frame_index import check_index
from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.inputs import as_recordings
from physio_mae_jax.inference.signal_metadata import SignalMetadata
from tests.encoders import beats

COUNT = 500
EVEN = pd.date_range("2024-01-01", periods=COUNT, freq="10ms")
# The clock is set back, and forward, within the recording.
BACK = pd.date_range("2024-10-27 00:59:57", periods=COUNT, freq="10ms", tz="UTC")
FORWARD = pd.date_range("2024-03-31 00:59:57", periods=COUNT, freq="10ms", tz="UTC")

KINDS = {
    "naive": lambda t: t,
    "UTC": lambda t: t.tz_localize("UTC"),
    "Berlin": lambda t: t.tz_localize("UTC").tz_convert("Europe/Berlin"),
    "milliseconds": lambda t: t.as_unit("ms"),
    "period": lambda t: t.to_period("ms"),
    "duration": lambda t: t - t[0],
    "Python": lambda t: pd.Index(t.to_pydatetime(), dtype=object),
    "Python with zone": lambda t: pd.Index(t.tz_localize("UTC").to_pydatetime(), dtype=object),
    "Python duration": lambda t: pd.Index((t - t[0]).to_pytimedelta(), dtype=object),
    "Python time of day": lambda t: pd.Index([one.time() for one in t], dtype=object),
    "NumPy objects": lambda t: pd.Index(list(t.to_numpy()), dtype=object),
    "category": lambda t: pd.CategoricalIndex(t),
    "ISO text": lambda t: pd.Index(t.astype(str)),
    "ISO text with zone": lambda t: pd.Index([f"{one.isoformat()}Z" for one in t]),
    "text of a German": lambda t: pd.Index(t.strftime("%d.%m.%Y %H:%M:%S.%f")),
    "text of a clock": lambda t: pd.Index(t.strftime("%H:%M:%S.%f")),
    "text of seconds": lambda t: pd.Index([f"{one:.2f}" for one in (t - t[0]).total_seconds()]),
    "Arrow time": lambda t: pd.Index(t, dtype="timestamp[us, tz=UTC][pyarrow]"),
    "Arrow text": lambda t: pd.Index(t.astype(str), dtype="string[pyarrow]"),
    "seconds": lambda t: pd.Index((t - t[0]).total_seconds()),
}


def check(index, rate_hz=100.0):
    return check_index(index, rate_hz, "r")


@pytest.mark.parametrize("kind", KINDS)
def test_even_times_of_the_rate_are_taken_and_others_rejected(kind):
    of = KINDS[kind]
    assert check(of(EVEN)) == ""
    with pytest.raises(DataError, match=r"is 100 samples per second, but sampling_rate_hz is 50"):
        check(of(EVEN), 50.0)
    with pytest.raises(DataError, match=r"the index of the frame jumps from"):
        check(of(EVEN[:250].append(EVEN[250:] + pd.Timedelta("60s"))))
    with pytest.raises(DataError, match=r"jumps from|is 83\.\d+ samples per second"):
        check(of(EVEN.delete(range(200, 300))))


@pytest.mark.parametrize("kind", [k for k in KINDS if "clock" not in k and "of day" not in k])
def test_times_out_of_order_or_twice_are_named(kind):
    of = KINDS[kind]
    with pytest.raises(DataError, match=r"runs backwards"):
        check(of(EVEN[::-1]))
    with pytest.raises(DataError, match=r"is out of order"):
        check(of(EVEN[[0, 2, 1, *range(3, COUNT)]]))
    with pytest.raises(DataError, match=r"occurs twice in the index of the frame \(1 rows"):
        check(of(EVEN[[0, *range(COUNT - 1)]]))


@pytest.mark.parametrize("moment", [BACK, FORWARD])
def test_a_change_to_summer_time_is_no_gap_where_the_zone_is_known(moment):
    local = moment.tz_convert("Europe/Berlin")
    assert check(local) == ""
    assert check(pd.Index(local.to_pydatetime(), dtype=object)) == ""
    with pytest.raises(DataError, match=r"out of order|jumps from"):
        check(local.tz_localize(None))


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (EVEN.insert(5, pd.NaT), "has no value in row 5"),
        (pd.Index([0.0, np.nan, 0.02, 0.03]), "has no value in row 1"),
        (pd.Index(pd.array([0, None, 2, 3], dtype="Int64")), "has no value in row 1"),
        (pd.RangeIndex(COUNT, 0, -1), "runs backwards"),
        (pd.Index([0, 0, 1, 2, 3]), "0 occurs twice"),
        (pd.Index([0] * 5), "0 occurs twice"),
        (pd.Index([*range(20), *range(60, 80)]), "jumps from 19 to 60"),
        (pd.Index(np.r_[0:99, 600:900].astype(np.uint64)), "jumps from 98 to 600"),
        (EVEN.floor("s"), "jumps from"),
    ],
)
def test_rows_that_are_not_where_they_should_be_are_named(index, message):
    with pytest.raises(DataError, match=message):
        check(index)


def test_what_only_counts_or_is_coarse_is_taken():
    for index in (
        pd.RangeIndex(COUNT),
        pd.RangeIndex(7, 7 + COUNT),
        pd.Index([str(row) for row in range(COUNT)]),
        pd.CategoricalIndex(range(COUNT)),
        pd.Index(1_700_000_000_000 + 10 * np.arange(COUNT)),  # ms
        pd.Index(1_700_000_000_000_000_000 + 10_000_000 * np.arange(COUNT)),  # ns
        pd.DatetimeIndex(EVEN[:2]),
    ):
        assert check(index) == ""
    assert check(pd.Index(np.round(np.arange(600) / 120, 2)), 120.0) == ""
    midnight = (EVEN - pd.Timedelta("2s")).strftime("%H:%M:%S.%f")
    assert check(pd.Index(midnight)) == ""


@pytest.mark.parametrize(
    ("index", "words"),
    [
        (pd.MultiIndex.from_arrays([["a"] * COUNT, EVEN]), "has several levels"),
        (pd.Index([f"row {row}" for row in range(COUNT)]), "cannot be read as times"),
        (pd.Index(["start", *EVEN.astype(str)[1:]]), "cannot be read as times"),
        (pd.Index([object() for _ in range(COUNT)]), "cannot be read as times"),
        (pd.Index(np.arange(COUNT) % 2 == 0), "cannot be read as times"),
        (pd.RangeIndex(0, 7 * COUNT, 7), "advances by 7 per row in an unknown unit"),
    ],
)
def test_what_cannot_be_checked_is_said(index, words):
    assert words in check(index)
    frame = pd.DataFrame(beats(5, 100).T, columns=["I", "II", "V1"], index=index)
    for signal in (frame, [frame], frame["I"]):
        (note,) = as_recordings(signal, SignalMetadata(sampling_rate_hz=100)).notes
        assert note.kind == "warning"
        assert words in note.text


def test_frames_in_a_list_and_series_are_checked_too():
    gap = KINDS["UTC"](EVEN[:250].append(EVEN[250:] + pd.Timedelta("60s")))
    frame = pd.DataFrame(beats(5, 100).T, columns=["I", "II", "V1"])
    for signal in ([frame, frame.set_axis(gap)], frame["I"].set_axis(gap)):
        with pytest.raises(DataError, match="jumps from"):
            as_recordings(signal, SignalMetadata(sampling_rate_hz=100))

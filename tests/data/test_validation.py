"""The check before training rejects what a model cannot learn from, and says how to go on."""

import re

import numpy as np
import pytest

from physio_mae_jax.data import validation
from physio_mae_jax.data.channel_plan import ChannelPlanner
from physio_mae_jax.errors import ConfigError, DataError
from tests.data.raw_recordings import Recordings, broken, good, run, source_of

BAD = {
    validation.NOT_FINITE: (
        broken(1, 250, 3, np.nan),
        r"r1: channel PPG has 3 NaN in 1000 samples, the first at sample 250 \(2\.5 s\)",
    ),
    validation.TOO_SHORT: (good(499), r"r1: it lasts 4\.99 s .*(?s:.*)--config\.window_seconds"),
    validation.EMPTY: (good(0), "r1: it has no samples"),
    validation.FLAT: (np.full((2, 1000), 3.0, np.float32), "r1: constant .* II, PPG = 3"),
    validation.UNREADABLE: (DataError("x.npz cannot be read"), r"r1: x\.npz cannot be read"),
}


@pytest.mark.parametrize("reason", BAD)
def test_each_kind_of_bad_recording_is_rejected_or_excluded(reason: str) -> None:
    signal, message = BAD[reason]
    source = source_of(good(), signal, good())
    with pytest.raises(DataError, match=message) as caught:
        run(source)
    assert "1 of 3 recordings cannot be used" in str(caught.value)
    assert "--config.data.on_invalid=skip" in str(caught.value)
    kept, report = run(source, on_invalid="skip")
    assert kept == [0, 2]
    assert report.counts == {reason: 1}
    assert (report.num_checked, report.num_kept) == (3, 2)
    assert "2 of 3 recordings are used" in report.summary()
    assert re.search(r"r1", report.summary())


def test_good_recordings_are_all_kept() -> None:
    kept, report = run(source_of(good(), good(500)))
    assert kept == [0, 1]
    assert report.summary() == "2 of 2 recordings are used."


def test_only_wanted_channels_are_evaluated() -> None:
    source = source_of(broken(1, 0, 1000, np.nan))
    assert run(source, planner=ChannelPlanner("II"))[0] == [0]
    # One channel that never changes is left to the model; all of them are not.
    assert run(source_of(broken(1, 0, 1000, 1.0)))[0] == [0]
    with pytest.raises(DataError, match="constant"):
        run(source_of(broken(1, 0, 1000, 1.0)), planner=ChannelPlanner("PPG"))


def test_missing_channel_is_rejected_masked_or_excluded() -> None:
    source = Recordings([good(), good()], [("II", "PPG"), ("MLII", "V1")])
    with pytest.raises(
        DataError, match="r1: channel 'PPG' is not in it; it has MLII, V1"
    ) as caught:
        run(source)
    assert "--config.data.missing_channels=mask" in str(caught.value)
    assert run(source, missing_channels="mask")[0] == [0, 1]
    assert run(source, on_invalid="skip")[0] == [0]
    # Masking cannot help a recording that has none of the wanted channels.
    pulse = {"planner": ChannelPlanner("PPG"), "missing_channels": "mask"}
    assert run(source, **pulse, on_invalid="skip")[0] == [0]


@pytest.mark.parametrize("mode", [{}, {"missing_channels": "mask", "on_invalid": "skip"}])
def test_a_channel_that_no_recording_has_is_always_an_error(mode: dict) -> None:
    with pytest.raises(DataError, match=r"'PGG' is not in any of the 1 .* Did you mean PPG\?"):
        run(source_of(good()), planner=ChannelPlanner("II,PGG"), **mode)


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(DataError, match=r"every one of 52 recordings.*(?s:.*)and 2 more: r50, r51"):
        run(source_of(*[good(9)] * 52), on_invalid="skip")
    with pytest.raises(DataError, match="no recordings"):
        run(source_of())


def test_unknown_modes_are_rejected() -> None:
    with pytest.raises(ConfigError, match=r"data\.on_invalid must be .* got 'ignore'"):
        run(source_of(good()), on_invalid="ignore")

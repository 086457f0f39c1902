"""Plans of recordings: channels and windows that are encoded, excluded or rejected."""

import functools

import numpy as np
import pytest

from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.recording_plan import channel_bucket
from tests.encoders import beats, encoder

LEADS = ["I", "II", "V1"]
ALIKE = functools.partial(np.testing.assert_allclose, atol=2e-5, rtol=0)


@pytest.fixture(scope="module")
def made():
    return encoder()


def test_channels_are_padded_to_few_numbers():
    assert [channel_bucket(n) for n in (1, 5, 12, 13, 99)] == [1, 6, 12, 16, 99]


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

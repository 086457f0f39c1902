"""Windows as a pure function of raw samples: what a reader of files makes, bit for bit."""

import dataclasses
import itertools

import numpy as np
import pytest

from physio_mae_jax.data.channel_plan import ChannelPlanner
from physio_mae_jax.data.window_transform import WindowConfig, make_window, plan_window
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.errors import ConfigError, DataError
from tests.factories import ArraySource

RATES = (100.0, 125.0, 250.0, 64.0, 333.3, 1000.01)
BANDS = (None, (0.5, 40.0))
GAPS = ("none", "at the begin", "at the end")
CHANNELS = ("II", "PPG")


def recording(rate_hz, gap, seconds=26.0):
    """Return random walks [2, n], of which one row may have a gap of a second at an end."""
    count = round(rate_hz * seconds)
    signal = np.random.default_rng(0).normal(size=(2, count)).cumsum(axis=1).astype(np.float32)
    second = round(rate_hz)
    if gap == "at the begin":
        signal[1, :second] = np.nan
    if gap == "at the end":
        signal[1, -second:] = np.nan
    return signal


def source_of(signal, rate_hz):
    bad = np.flatnonzero(np.isnan(signal[1]))
    gaps = ((1, int(bad[0]), int(bad[-1]) + 1),) if len(bad) else ()
    source = ArraySource([signal], CHANNELS, rate_hz)
    source.recordings = [dataclasses.replace(source.recordings[0], gaps=gaps)]
    return source


def config_of(band_hz, num_channels=2, wanted="II,PPG"):
    return WindowConfig(
        channels=wanted,
        num_channels=num_channels,
        sampling_rate_hz=100.0,
        num_samples=400,
        band_hz=band_hz,
    )


def assert_same(found, wanted):
    for name in ("signal", "channel_mask", "channel_ids"):
        assert found[name].dtype == wanted[name].dtype
        np.testing.assert_array_equal(found[name], wanted[name])


@pytest.mark.parametrize(
    ("rate_hz", "band_hz", "gap", "num_channels"),
    list(itertools.product(RATES, BANDS, GAPS, (2, 4))),
)
def test_a_window_of_raw_samples_is_that_of_a_reader(rate_hz, band_hz, gap, num_channels):
    signal, config = recording(rate_hz, gap), config_of(band_hz, num_channels)
    source = source_of(signal, rate_hz)
    reader = WindowReader(source, config)
    starts = reader.starts(0)
    plan = ChannelPlanner(config.channels).plan(source.recordings[0])
    for start in {starts[0], starts[len(starts) // 2], starts[len(starts) - 1]}:
        spec = plan_window(source.recordings[0], plan, config, start)
        # Nothing outside of the planned samples is used.
        held = np.full_like(signal, np.nan)
        held[:, spec.first : spec.last] = signal[:, spec.first : spec.last]
        before = held.copy()
        found = make_window(held[:, spec.first : spec.last], spec)
        np.testing.assert_array_equal(held, before)
        assert_same(found, reader.read(0, start))
        assert found["signal"].shape == (num_channels, 400)
        assert not found["channel_mask"][2:].any()


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("band_hz", BANDS)
def test_a_stream_makes_the_windows_of_what_it_received(rate_hz, band_hz):
    """The last window of the first seconds is that of a recording of these seconds."""
    signal, config = recording(rate_hz, "none"), config_of(band_hz)
    info = source_of(signal, rate_hz).recordings[0]
    plan = ChannelPlanner(config.channels).plan(info)
    for seconds in (5.0, 9.5, 14.0):
        received = round(rate_hz * seconds)
        so_far = dataclasses.replace(info, num_samples=received)
        start = config.change(so_far).length_after(received) - 400
        spec = plan_window(so_far, plan, config, start)
        assert spec.last <= received
        reader = WindowReader(source_of(signal[:, :received], rate_hz), config)
        assert_same(make_window(signal[:, spec.first : spec.last], spec), reader.read(0, start))


@pytest.mark.parametrize("tempo", [0.8, 1.25])
def test_a_tempo_is_part_of_the_plan(tempo):
    signal, config = recording(250.0, "none"), config_of(None)
    source = source_of(signal, 250.0)
    plan = ChannelPlanner(config.channels).plan(source.recordings[0])
    spec = plan_window(source.recordings[0], plan, config, 17, tempo)
    wanted = WindowReader(source, config).read(0, 17, tempo)
    assert_same(make_window(signal[:, spec.first : spec.last], spec), wanted)


def test_flat_and_absent_channels_are_masked():
    signal, config = recording(100.0, "none"), config_of(None, 4, "II,PPG,V1")
    signal[0] = 3.0
    info = source_of(signal, 100.0).recordings[0]
    spec = plan_window(info, ChannelPlanner(config.channels).plan(info), config, 0)
    found = make_window(signal[:, spec.first : spec.last], spec)
    assert found["channel_mask"].tolist() == [False, True, False, False]
    np.testing.assert_array_equal(found["signal"][[0, 2, 3]], 0)


def test_a_value_that_is_not_finite_is_named_with_its_time():
    signal, config = recording(250.0, "none"), config_of(None)
    signal[1, 1100] = np.inf
    info = source_of(signal, 250.0).recordings[0]
    spec = plan_window(info, ChannelPlanner(config.channels).plan(info), config, 300)
    with pytest.raises(DataError, match=r"1 values .* not finite, .* 'PPG' at 4\.400 s"):
        make_window(signal[:, spec.first : spec.last], spec)


def test_a_band_beyond_the_rate_is_rejected_before_anything_is_read():
    with pytest.raises(ConfigError, match=r"0\.5 to 60 Hz must be between 0 and .* 50 Hz"):
        config_of((0.5, 60.0))

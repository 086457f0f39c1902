"""A batch of windows has the values of the single windows, bit for bit."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from physio_mae_jax.data.channel_plan import ChannelPlanner
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.data.window_stack import make_windows
from physio_mae_jax.data.window_transform import WindowConfig, make_window, plan_window
from physio_mae_jax.errors import DataError

LENGTH = 300


def recording(rate_hz=100.0, names=("II", "PPG", "I"), units=("mV", "", "mV"), samples=4000):
    return RecordingInfo(
        record_id=f"r{rate_hz:g}",
        subject_id="s",
        channel_names=names,
        sampling_rate_hz=rate_hz,
        num_samples=samples,
        units=units,
    )


def planned(info, start, tempo=1.0, channels="I,II,III,PPG", band_hz=None):
    config = WindowConfig(
        channels=channels,
        num_channels=5,
        units={"I": "mV", "II": "mV"},
        sampling_rate_hz=100.0,
        num_samples=LENGTH,
        band_hz=band_hz,
    )
    return plan_window(
        info, ChannelPlanner(channels, config.units).plan(info), config, start, tempo
    )


def samples(spec, seed, dtype=np.float32, scale=1.0, offset=0.0):
    rng = np.random.default_rng(seed)
    shape = (len(spec.info.channel_names), spec.last - spec.first)
    return (scale * rng.normal(size=shape) + offset).astype(dtype)


def assert_as_single(raw, specs):
    batch = make_windows(raw, specs)
    for index, (values, spec) in enumerate(zip(raw, specs, strict=True)):
        for name, expected in make_window(values, spec).items():
            assert batch[name].dtype == expected.dtype
            np.testing.assert_array_equal(batch[name][index], expected, err_msg=name)


def test_copied_derived_resampled_and_filtered_windows_are_those_of_single_ones():
    plain = recording()
    specs = [
        planned(plain, 7, channels="II,PPG"),
        planned(plain, 9),  # III is derived
        planned(recording(250.0), 100),
        planned(recording(360.0), 40, tempo=1.1),
        planned(plain, 500, channels="II,PPG", band_hz=(0.5, 40.0)),
        planned(recording(names=("PPG",), units=("",)), 30, channels="PPG"),
    ] * 9
    assert_as_single([samples(spec, seed) for seed, spec in enumerate(specs)], specs)


@pytest.mark.parametrize(
    "changes",
    [
        {"scale": 1e-20},
        {"scale": 1e25},
        {"scale": 1e-3, "offset": 1e4},
        {"dtype": np.float64, "scale": 1e-200},
        {"dtype": np.float64, "scale": 1e-3, "offset": 1e9},
        {"scale": 0.0, "offset": 3.0},
        {"scale": 0.0},
    ],
)
def test_windows_of_any_amplitude_are_those_of_single_ones(changes):
    specs = [planned(recording(), start, channels="II,PPG") for start in range(12)]
    raw = [samples(spec, seed) for seed, spec in enumerate(specs)]
    raw[5] = samples(specs[5], 5, **changes)
    assert_as_single(raw, specs)


def test_many_short_windows_are_those_of_single_ones():
    """The mean of a row does not depend on its position among the rows that are summed."""
    specs = [planned(recording(), start, channels="II,PPG,I") for start in range(700)]
    raw = [samples(spec, seed, offset=1e3) for seed, spec in enumerate(specs)]
    assert_as_single(raw, specs)


def test_batches_made_at_once_in_several_threads_do_not_mix():
    specs = [planned(recording(), start, channels="II,PPG,I") for start in range(40)]
    batches = [[samples(spec, seed + 100 * k) for seed, spec in enumerate(specs)] for k in range(4)]
    alone = [make_windows(raw, specs)["signal"] for raw in batches]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            together = list(pool.map(lambda raw: make_windows(raw, specs)["signal"], batches))
            np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_named(value):
    specs = [planned(recording(), start, channels="II,PPG") for start in range(6)]
    raw = [samples(spec, seed) for seed, spec in enumerate(specs)]
    raw[4][1, 20] = value
    with pytest.raises(DataError, match=r"'r100' has 1 values.*first in channel 'PPG' at 0\.240 s"):
        make_windows(raw, specs)

"""The rate of samples whose times were stamped by a receiver, packet by packet.

Such times come in bursts and lie some milliseconds beside those of a constant rate. Their mean rate
is that of the samples, as long as no packet is lost: a jump, or times that run away from the
constant rate by more than packets do, is an error.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.time_column import Context, Times
from physio_mae_jax.data.formats.time_units import SECONDS
from physio_mae_jax.data.formats.uniform_times import mean_sampling_interval

_NOMINAL_TOLERANCE = 0.01
# Clocks of device and receiver differ by less.
_CLOCK_TOLERANCE = 0.001
_WAY_OUT = (
    "Split the file where samples were lost, or state 'sampling_rate_hz' in a manifest to read its "
    "samples as if none were."
)


class PacketRate(NamedTuple):
    """The rate of samples by such times.

    Attributes:
        rate_hz: Sampling rate in Hz.
        note: Doubt about it, for a warning; '' where there is none.
    """

    rate_hz: float
    note: str = ""


def packet_rate(
    times: Times, jitter_s: float, nominal_hz: Sequence[float], context: Context
) -> PacketRate:
    """Return the rate of samples with such times.

    Args:
        times: Times [n] in their unit; of dates, seconds from the first one.
        jitter_s: How far a time may lie from that of a constant rate.
        nominal_hz: Rates of the device; empty for any.
        context: Context for messages.

    Returns:
        The nominal rate, of which the mean rate must be within 1 %, or the mean rate where there
        is none.

    Raises:
        UnreadableError: times are missing, samples were lost, or the rate is none of the device.
    """
    where = context.where
    if times.error:
        raise UnreadableError(times.error)
    if len(times.values) < 2 or times.unit is None:
        raise UnreadableError(
            f"{where}: column {times.name!r} has {len(times.values)} times, of which no rate "
            "follows. State 'sampling_rate_hz' in a manifest, or exclude the file."
        )
    seconds = (times.values - times.values[0]) * SECONDS[times.unit]
    mean_step = mean_sampling_interval(seconds, where, context.describe_row)
    off = np.abs(seconds - np.arange(len(seconds)) * mean_step)
    steps = np.diff(seconds)
    if off.max() > jitter_s or steps.max() > jitter_s + mean_step:
        row = int(np.argmax(steps)) + 1
        raise UnreadableError(
            f"{where}, {context.describe_row(row)}: column {times.name!r} jumps by "
            f"{steps[row - 1]:.3f} s, where steps of {mean_step:.5f} s, give or take "
            f"{jitter_s:g} s, are expected. {_WAY_OUT}"
        )
    mean_hz = 1.0 / mean_step
    if not nominal_hz:
        return PacketRate(mean_hz)
    # The ends of a short recording are stamped no better than its other samples.
    tolerance = max(_NOMINAL_TOLERANCE, 2 * jitter_s / float(seconds[-1]))
    nearest = min(nominal_hz, key=lambda rate: abs(rate - mean_hz))
    if abs(nearest - mean_hz) > min(tolerance, 0.1) * nearest:
        rates = " or ".join(f"{rate:g}" for rate in nominal_hz)
        raise UnreadableError(
            f"{where}: column {times.name!r} gives {mean_hz:.6g} samples per second, where the "
            f"device has {rates}. {_WAY_OUT}"
        )
    lost = (nearest - mean_hz) * float(seconds[-1])
    if lost > max(_CLOCK_TOLERANCE * len(seconds), jitter_s * nearest):
        return PacketRate(
            nearest,
            f"column {times.name!r} gives {mean_hz:.6g} samples per second instead of {nearest:g}: "
            f"about {lost:.0f} samples may be lost",
        )
    return PacketRate(nearest)

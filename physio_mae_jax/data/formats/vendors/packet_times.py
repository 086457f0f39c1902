"""Sampling rate from timestamps that a receiver assigns to packets of samples.

Such timestamps come in bursts and deviate from those of a constant rate by some milliseconds. If no
packet is lost, their mean rate is that of the samples. A jump, or a larger deviation from the
constant rate than packets cause, is an error.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.time_column import Context, Times
from physio_mae_jax.data.formats.time_units import SECONDS
from physio_mae_jax.data.formats.uniform_times import mean_sampling_interval

_NOMINAL_TOLERANCE = 0.01
# The clocks of device and receiver differ by less than this ratio.
_CLOCK_TOLERANCE = 0.001
_HINT = (
    "Split the file where samples were lost, or state 'sampling_rate_hz' in a manifest to read its "
    "samples as if none were lost."
)


class PacketRate(NamedTuple):
    """A sampling rate from timestamps.

    Attributes:
        rate_hz: Sampling rate in Hz.
        note: Reason why it is uncertain, for a warning; '' if it is not.
    """

    rate_hz: float
    note: str = ""


def packet_rate(
    times: Times, jitter_s: float, nominal_hz: Sequence[float], context: Context
) -> PacketRate:
    """Return the sampling rate of samples with timestamps of packets.

    Args:
        times: Times [n] in their unit; for dates, seconds since the first one.
        jitter_s: Maximum difference of a time from that of a constant rate, in seconds.
        nominal_hz: Rates of the device; empty for any.
        context: Context for messages.

    Returns:
        The nominal rate nearest to the mean rate, which must be within 1 % of it; the mean rate if
        there are no nominal rates.

    Raises:
        UnreadableError: times are missing, samples were lost, or the device lacks this rate.
    """
    where = context.where
    if times.error:
        raise UnreadableError(times.error)
    if len(times.values) < 2 or times.unit is None:
        raise UnreadableError(
            f"{where}: column {times.name!r} has {len(times.values)} times, which do not determine "
            "a rate. State 'sampling_rate_hz' in a manifest, or exclude the file."
        )
    seconds = (times.values - times.values[0]) * SECONDS[times.unit]
    mean_step = mean_sampling_interval(seconds, where, context.describe_row)
    off = np.abs(seconds - np.arange(len(seconds)) * mean_step)
    steps = np.diff(seconds)
    if off.max() > jitter_s or steps.max() > jitter_s + mean_step:
        row = int(np.argmax(steps)) + 1
        raise UnreadableError(
            f"{where}, {context.describe_row(row)}: column {times.name!r} jumps by "
            f"{steps[row - 1]:.3f} s; steps of {mean_step:.5f} s are expected, with a jitter "
            f"of at most {jitter_s:g} s. {_HINT}"
        )
    mean_hz = 1.0 / mean_step
    if not nominal_hz:
        return PacketRate(mean_hz)
    # Both ends of a short recording have the same jitter as its other samples.
    tolerance = max(_NOMINAL_TOLERANCE, 2 * jitter_s / float(seconds[-1]))
    nearest = min(nominal_hz, key=lambda rate: abs(rate - mean_hz))
    if abs(nearest - mean_hz) > min(tolerance, 0.1) * nearest:
        rates = " or ".join(f"{rate:g}" for rate in nominal_hz)
        raise UnreadableError(
            f"{where}: column {times.name!r} gives {mean_hz:.6g} samples per second; the "
            f"device has {rates}. {_HINT}"
        )
    lost = (nearest - mean_hz) * float(seconds[-1])
    if lost > max(_CLOCK_TOLERANCE * len(seconds), jitter_s * nearest):
        return PacketRate(
            nearest,
            f"column {times.name!r} gives {mean_hz:.6g} samples per second instead of {nearest:g}: "
            f"about {lost:.0f} samples may be lost",
        )
    return PacketRate(nearest)

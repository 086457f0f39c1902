"""Plausible sampling rates of physiological signals, by kind of channel.

Every source of a rate (header, time column, npz member, manifest, argument) is held against the
same range. A rate outside of it is a period taken for a rate, milliseconds taken for seconds, a
sample number taken for a time, or a broken header.
"""

import math
from collections.abc import Sequence

from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.channels import canonical_name, is_ecg

HIGHEST_RATE_HZ = 50_000.0
# Slow signals (respiration, EDA, temperature, SpO2, envelopes of EMG) and channels of unknown kind.
LOWEST_RATE_HZ = 1.0
# Waveforms with a beat or a rhythm: at fewer samples a second neither can be seen.
LOWEST_WAVEFORM_RATE_HZ = 10.0
_PRESSURES = ("ABP", "CVP", "ICP", "PAP")


def lowest_rate_hz(channel: str) -> float:
    """Return the lowest plausible rate of a channel, samples a second."""
    name = canonical_name(channel)
    pulsatile = is_ecg(name) or name.startswith("PPG") or name in _PRESSURES
    waveform = pulsatile or name == "EEG" or name.startswith("EEG_")
    return LOWEST_WAVEFORM_RATE_HZ if waveform else LOWEST_RATE_HZ


def check_rate(rate_hz: float, channels: Sequence[str], where: str, way_out: str = "") -> None:
    """Refuse a rate that no such channel is recorded at.

    Args:
        rate_hz: samples a second.
        channels: names of the channels that have this rate; may be empty.
        where: what has the rate, for the message, such as a path.
        way_out: what the user can do, a sentence; empty for a general one.

    Raises:
        DataError: the rate is not finite, or outside the plausible range of a channel.
    """
    lowest = max(map(lowest_rate_hz, channels), default=LOWEST_RATE_HZ)
    if math.isfinite(rate_hz) and lowest <= rate_hz <= HIGHEST_RATE_HZ:
        return
    slow = [name for name in channels if lowest_rate_hz(name) > rate_hz]
    of = f" of {', '.join(slow[:6])}" if slow else ""
    raise DataError(
        f"{where}: a sampling rate of {rate_hz:g} Hz{of} is not plausible; {lowest:g} to "
        f"{HIGHEST_RATE_HZ:g} samples a second are expected. "
        + (
            way_out
            or "Is it a period in seconds, or were milliseconds or sample numbers taken for "
            "seconds? Correct the rate where it comes from."
        )
    )

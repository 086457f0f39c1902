"""Plausible sampling rates of physiological signals, by kind of channel.

Every source of a rate (header, time column, npz member, manifest, argument) is checked against the
same range. Typical causes of a rate outside it: a period read as a rate, milliseconds read as
seconds, sample numbers read as times, or a broken header.
"""

import math
from collections.abc import Sequence

from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.channels import canonical_name, is_ecg

MAX_RATE_HZ = 50_000.0
# Slow signals (respiration, EDA, temperature, SpO2, EMG envelopes) and channels of unknown kind.
MIN_RATE_HZ = 1.0
# Waveforms with a beat or a rhythm, which cannot be resolved at lower rates.
MIN_WAVEFORM_RATE_HZ = 10.0
_PRESSURES = ("ABP", "CVP", "ICP", "PAP")


def min_plausible_rate_hz(channel: str) -> float:
    """Return the lowest plausible sampling rate of a channel, in Hz."""
    name = canonical_name(channel)
    pulsatile = is_ecg(name) or name.startswith("PPG") or name in _PRESSURES
    waveform = pulsatile or name == "EEG" or name.startswith("EEG_")
    return MIN_WAVEFORM_RATE_HZ if waveform else MIN_RATE_HZ


def check_rate(rate_hz: float, channels: Sequence[str], where: str, hint: str = "") -> None:
    """Reject an implausible sampling rate.

    Args:
        rate_hz: Sampling rate in Hz.
        channels: Names of the channels recorded at this rate; may be empty.
        where: Source of the rate for the error message, such as a path.
        hint: Suggested fix, one sentence; '' for a generic one.

    Raises:
        DataError: the rate is not finite, or outside the plausible range of a channel.
    """
    min_rate_hz = max(map(min_plausible_rate_hz, channels), default=MIN_RATE_HZ)
    if math.isfinite(rate_hz) and min_rate_hz <= rate_hz <= MAX_RATE_HZ:
        return
    slow = [name for name in channels if min_plausible_rate_hz(name) > rate_hz]
    channel_text = f" of {', '.join(slow[:6])}" if slow else ""
    raise DataError(
        f"{where}: a sampling rate of {rate_hz:g} Hz{channel_text} is not plausible; "
        f"{min_rate_hz:g} to {MAX_RATE_HZ:g} Hz are expected. "
        + (
            hint
            or "Is it a period in seconds, or were milliseconds or sample numbers read as "
            "seconds? Correct the rate at its source."
        )
    )

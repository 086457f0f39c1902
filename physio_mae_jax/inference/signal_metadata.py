"""Rate, units and gain of a signal, as its caller describes them."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from physio_mae_jax.errors import DataError
from physio_mae_jax.inference import arguments
from physio_mae_jax.inference.samples import Samples
from physio_mae_jax.printable import show
from physio_mae_jax.signals.rates import check_rate
from physio_mae_jax.signals.units import COUNTS

_RATE = "a number of samples per second, such as 500"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SignalMetadata:
    """Description of signals by the caller; one for all of them, or a list with one each.

    Attributes:
        sampling_rate_hz: Sampling rate, Hz.
        channels: Row names of a signal; for a data frame, its columns if none are given.
        units: Units of the channels, or one for all; '' or None where unknown.
        gain: ADC counts per unit, one per channel or one for all; samples are divided by it.
        names: Names of the recordings, for reports.
    """

    sampling_rate_hz: object = None
    channels: object = None
    units: object = ""
    gain: object = None
    names: object = None


def rate_of(value: object, channels: Sequence[str], name: str) -> float:
    """Return the sampling rate of a signal, Hz.

    Raises:
        DataError: It is missing, no number, or not plausible for the channels.
    """
    what = f"{name}: sampling_rate_hz"
    if value is None:
        raise DataError(f"{what} is missing; give {_RATE}.")
    rate_hz = arguments.number(value, what, _RATE)
    check_rate(
        rate_hz,
        channels,
        f"{what} is {rate_hz:g}",
        "Samples a second are meant, not seconds a sample; correct it, or the names of channels.",
    )
    return rate_hz


def units_of(values: object, count: int, name: str) -> list[str]:
    """Return the unit of each of ``count`` channels, '' where unknown.

    Raises:
        DataError: They are not as many, or one is not text.
    """
    one = arguments.plain(values)
    if arguments.is_missing(one):
        return [""] * count
    if isinstance(one, str):
        return [one] * count
    units = [
        "" if arguments.is_missing(unit) else arguments.plain(unit)
        for unit in arguments.listed(values, f"{name}: units", "text such as 'mV', or a list")
    ]
    if len(units) != count:
        raise DataError(f"{name} has {count} channels, but units has {len(units)} entries.")
    for unit in units:
        if not isinstance(unit, str):
            raise DataError(
                f"{name}: units has {show(unit)} ({type(unit).__name__}) among its "
                "entries; a unit is text, such as 'mV', and '' where it is not known."
            )
    return units


def gain_of(gain: object, count: int, name: str) -> np.ndarray | None:
    """Return the ADC counts per unit [M] of each channel; None if the samples are not counts.

    Raises:
        DataError: The number of gains differs from that of the channels, or a gain is 0 or not a
            number.
    """
    if gain is None:
        return None
    what, meant = f"{name}: gain", "a number of counts in one unit, such as 200"
    one = arguments.is_one_number(gain)
    entries = [gain] if one else arguments.listed(gain, what)
    if len(entries) not in (1, count):
        raise DataError(
            f"{name} has {count} channels, but gain has shape {np.asarray(gain).shape}; give one "
            "for all, or one for each."
        )
    values = np.asarray([arguments.number(entry, what, meant) for entry in entries])
    if not (np.isfinite(values) & (values != 0)).all():
        raise DataError(f"{name}: gain must be ADC counts per unit, never 0; got {show(gain)}.")
    return np.broadcast_to(values, (count,))


def require_units_or_gain(
    samples: Samples, units: Sequence[str], gain: np.ndarray | None, name: str
) -> None:
    """Reject integer samples without units or gain, with a DataError."""
    if samples.are_integers and gain is None and not all(units):
        dtype = samples.values.dtype
        raise DataError(
            f"{name} is {dtype if dtype.kind in 'iu' else 'masked integers'}, which looks like "
            "ADC counts (ADU); give gain= (counts in one unit, such as gain=1000 for "
            f"1000/mV). Or say units={COUNTS!r}: each channel is normalized, so a separate gain "
            "changes nothing, but derived leads need one gain for all."
        )

"""From what a caller has (arrays, frames, lists of them) to recordings that can be read.

Nothing is guessed: without a rate or channel names, with the axes the wrong way round, or with
counts of a converter of unknown gain there is an error that says what to add.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np

from physio_mae_jax.data.arrays import ArrayRecordings, absent_rows, gaps_of
from physio_mae_jax.data.source import LEAST_RATE_HZ, RecordingInfo
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.channels import canonical_name
from physio_mae_jax.signals.units import canonical_unit

COUNTS = "adu"  # samples as the converter gave them
_MOST_STEPS_OFF = 2.0  # of an index from an even one; coarsely printed times are one off
_MOST_RATE_OFF = 0.02


@runtime_checkable
class Frame(Protocol):
    """A table such as ``pandas.DataFrame``: a column for each channel, a row for each sample."""

    columns: Any

    def to_numpy(self) -> np.ndarray:
        """Return the values [n, M]."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
    """What a caller says of signals; the same for all of them, or a list with one for each.

    Attributes:
        sampling_rate_hz: samples a second.
        channels: names of the rows of a signal; of a frame, its columns where none are given.
        units: of the channels, or one for all; '' or None where not known.
        gain: counts in one unit, of the channels or one for all; samples are divided by it.
        names: of the recordings, for reports.
    """

    sampling_rate_hz: Any = None
    channels: Any = None
    units: Any = ""
    gain: Any = None
    names: Sequence[str] | None = None


def recordings_of(signal: Any, description: Description) -> ArrayRecordings:
    """Make recordings of signals.

    Args:
        signal: [M, n] of one recording, [B, M, n] of several, [n] of one channel, a frame, or a
            list of any of these but the second.
        description: of them.

    Raises:
        DataError: something is missing or does not fit; the message says how to mend it.
    """
    signals = _separated(signal)
    rates = _for_each(description.sampling_rate_hz, len(signals), "sampling_rate_hz", _is_number)
    channels = _for_each(description.channels, len(signals), "channels", _is_names)
    names = list(description.names or (f"recording {i}" for i in range(len(signals))))
    if len(names) != len(signals):
        raise DataError(f"{len(names)} names are given for {len(signals)} recordings.")
    arrays, infos, gains, absent = [], [], [], []
    for one, rate, wanted, name in zip(signals, rates, channels, names, strict=True):
        array, labels = _oriented(one, wanted, name)
        rate_hz = _rate(rate, name)
        if isinstance(one, Frame):
            _check_index(one, rate_hz, name)
        units = _spread(description.units, len(labels), "units", name)
        gain = _gain(description.gain, len(labels), name)
        _check_counts(array, units, gain, name)
        gaps = gaps_of(array)
        missing = absent_rows(gaps, array.shape[1])
        arrays.append(array)
        gains.append(gain)
        absent.append(missing)
        infos.append(
            RecordingInfo(
                record_id=name,
                subject_id=name,
                channel_names=labels,
                sampling_rate_hz=rate_hz,
                num_samples=array.shape[1],
                # Counts and the like say nothing of the quantity.
                units=tuple(_physical_unit(unit) for unit in units),
                gaps=tuple(gap for gap in gaps if gap[0] not in missing),
            )
        )
    return ArrayRecordings(arrays, infos, gains, absent)


def _separated(signal: Any) -> list[Any]:
    """Return the signals of a list, of a batch [B, M, n], or the one that is given."""
    if isinstance(signal, Frame):
        return [signal]
    if isinstance(signal, list | tuple):
        if not signal:
            raise DataError("no signal is given: the list is empty.")
        if not _is_number(signal[0]):
            return list(signal)
    array = _numbers(signal, "the signal")
    return list(array) if array.ndim == 3 else [array]


def _for_each(value: Any, count: int, name: str, is_one: Any) -> list[Any]:
    """Return a value for each of ``count`` signals."""
    if value is None or is_one(value):
        return [value] * count
    values = list(value)
    if len(values) != count:
        raise DataError(f"{name} has {len(values)} entries for {count} recordings.")
    return values


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number)


def _is_names(value: Any) -> bool:
    return isinstance(value, str) or all(isinstance(name, str) for name in value)


def _oriented(signal: Any, wanted: Any, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return a signal as [M, n] and the names of its rows."""
    if isinstance(signal, Frame):
        return _of_frame(signal, wanted, name)
    if wanted is None:
        raise DataError(
            f"{name}: channels is missing; name its rows, such as channels=['II', 'PPG']."
        )
    labels = _names(wanted)
    array = _numbers(signal, name)
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2:
        raise DataError(f"{name} has shape {array.shape}; [channel, sample] is expected.")
    if len(array) != len(labels):
        raise DataError(
            f"{name} has shape {array.shape}, but {len(labels)} channels are named "
            f"({', '.join(labels)}). {_way_out(array, len(labels))}"
        )
    if len(array) > 1 and array.shape[1] == 1:
        raise DataError(
            f"{name} has shape {array.shape}: one sample of each of {len(labels)} channels. A "
            "signal [channel, sample] is expected; check that its axes are in this order."
        )
    return array, labels


def _way_out(array: np.ndarray, num_channels: int) -> str:
    if array.shape[1] == num_channels:
        return "Its axes are [sample, channel]; give signal.T, which is [channel, sample]."
    return "Rows are channels, [channel, sample]; name every row, in their order."


def _of_frame(frame: Frame, wanted: Any, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Take columns of a frame: those that are named, or all."""
    present = [str(column) for column in frame.columns]
    labels = tuple(present) if wanted is None else _names(wanted)
    missing = [label for label in labels if label not in present]
    if missing:
        raise DataError(f"{name} has no column {missing[0]!r}; it has {', '.join(present)}.")
    chosen = cast(Any, frame)
    if wanted is not None:
        chosen = chosen.iloc[:, [present.index(label) for label in labels]]
    return _numbers(chosen.to_numpy(), name).T, labels


def _check_index(frame: Frame, rate_hz: float, name: str) -> None:
    """Refuse an index that says the rows are not as far apart as they are taken to be.

    Numbers and times are looked at: whole ones may count rows, others are seconds.
    """
    index = np.asarray(getattr(frame, "index", ()))
    if index.dtype.kind not in "fiuMm" or len(index) < 3:
        return
    if index.dtype.kind in "Mm":
        place = (index - index[0]) / np.timedelta64(1, "s")
    else:
        place = index.astype(np.float64)
    step = (place[-1] - place[0]) / (len(place) - 1)
    off = place - place[0] - step * np.arange(len(place))
    if not np.abs(off).max() <= _MOST_STEPS_OFF * abs(step):
        row = int(np.argmax(np.abs(np.diff(place) - step)))
        raise DataError(
            f"{name}: the index of the frame goes from {index[row]} to {index[row + 1]}, but its "
            "rows are taken for evenly spaced. Put missing rows back as NaN (frame.reindex), "
            "encode the pieces apart, or say frame.reset_index(drop=True) if it is no time."
        )
    if index.dtype.kind not in "iu" and abs(step * rate_hz - 1) > _MOST_RATE_OFF:
        raise DataError(
            f"{name}: the index of the frame advances by {step:.6g} s a row, which is "
            f"{1 / step:.6g} samples a second, but sampling_rate_hz is {rate_hz:g}. Give that "
            "rate, or say frame.reset_index(drop=True) if the index is no time in seconds."
        )


def _names(channels: Any) -> tuple[str, ...]:
    if isinstance(channels, str):
        channels = channels.split(",")
    return tuple(str(name).strip() for name in channels)


def _numbers(signal: Any, name: str) -> np.ndarray:
    """Return an array of real numbers, of whatever kind; a mapped file stays mapped."""
    array = np.asarray(signal)
    if array.dtype.kind not in "fiu":
        raise DataError(
            f"{name} is an array of {array.dtype}; a signal is real numbers, float or integer. "
            "Convert it, and leave out columns that are no signal, such as times."
        )
    return array


def _rate(value: Any, name: str) -> float:
    if value is None:
        raise DataError(
            f"{name}: sampling_rate_hz is missing; say how many samples a second it has, such as "
            "sampling_rate_hz=500."
        )
    if not _is_number(value) or not np.isfinite(value) or value < LEAST_RATE_HZ:
        raise DataError(
            f"{name}: sampling_rate_hz is {value!r}; samples a second are meant, at least "
            f"{LEAST_RATE_HZ:g}, not seconds a sample."
        )
    return float(value)


def _spread(values: Any, count: int, what: str, name: str) -> list[str]:
    if values is None or isinstance(values, str):
        return [values or ""] * count
    if len(values) != count:
        raise DataError(f"{name} has {count} channels, but {what} has {len(values)} entries.")
    return [value or "" for value in values]


def _gain(gain: Any, count: int, name: str) -> np.ndarray | None:
    if gain is None:
        return None
    values = np.asarray(gain, np.float64)
    if values.shape not in ((), (1,), (count,)):
        raise DataError(
            f"{name} has {count} channels, but gain has shape {values.shape}; give one for all, or "
            "one for each."
        )
    values = np.broadcast_to(values, (count,))
    if not (np.isfinite(values) & (values != 0)).all():
        raise DataError(f"{name}: gain is {gain!r}; counts in a unit are meant, never 0.")
    return values


def _check_counts(
    array: np.ndarray, units: Sequence[str], gain: np.ndarray | None, name: str
) -> None:
    """Refuse integers that nothing is said of."""
    if array.dtype.kind in "iu" and gain is None and not all(units):
        raise DataError(
            f"{name} is {array.dtype}, which looks like counts of a converter (ADU); give gain= "
            f"(counts in one unit, such as gain=1000 for 1000/mV). Or say units={COUNTS!r}: each "
            "channel is normalised, so a gain of its own changes nothing, but derived leads need "
            "one gain for all."
        )


def _physical_unit(unit: str) -> str:
    return "" if canonical_unit(unit) == COUNTS else canonical_unit(unit)


def renaming(given: Sequence[str]) -> str:
    """Say which names are read as others; '' where none is, but for capital letters."""
    read = [(name, canonical_name(name)) for name in given]
    return ", ".join(f"{name} is {own}" for name, own in read if name.lower() != own.lower())


def reordering(given: Sequence[str], used: Sequence[str]) -> str:
    """Say in which order channels are given to the model; '' where it is theirs."""
    picked = [canonical_name(name) for name in given if canonical_name(name) in used]
    own = [name for name in used if name in picked]
    return "" if picked == own else f"{', '.join(picked)} -> {', '.join(own)}"

"""Identification of the variables with the signal, rate, names and units in a MATLAB file.

The signal is the variable that a manifest names under ``array``, else the one with a usual name,
else the only array of numbers. The rate is a number in a variable such as ``fs``; names and units
are texts. A manifest states what the file lacks, as for an npz.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from physio_mae_jax.data.formats.file_facts import FileFacts
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.data.formats.origin import Origin
from physio_mae_jax.errors import DataError

SIGNALS = ("x", "signal", "signals", "sig", "data", "val", "ecg", "eeg", "ppg", "y")
RATES = ("fs", "sampling_rate_hz", "sampling_rate", "samplingrate", "sample_rate", "srate",
         "samplefreq", "sampling_frequency", "freq")  # fmt: skip
NAMES = ("channels", "channel_names", "labels", "ch_names", "leads", "lead_names", "sig_name",
         "channel_labels", "names")  # fmt: skip
UNITS = ("units", "unit")
# Shorter arrays are settings, not signals.
_MIN_SAMPLES = 64
_SHOWN = 12


class Variable(NamedTuple):
    """A variable as its header describes it.

    Attributes:
        shape: Shape in MATLAB's order.
        kind: 'numeric', 'text' (a char matrix or a cell array of texts), or MATLAB's class.
    """

    shape: tuple[int, ...]
    kind: str

    @property
    def size(self) -> int:
        """Number of elements."""
        size = 1
        for length in self.shape:
            size *= length
        return size


class Content(NamedTuple):
    """A MATLAB file.

    Attributes:
        variables: Name -> description.
        number: Reads a variable with one number.
        texts: Reads a variable of texts.
    """

    variables: Mapping[str, Variable]
    number: Callable[[str], float]
    texts: Callable[[str], tuple[str, ...]]


def describe(path: Path, entry: ManifestEntry, content: Content, name: str) -> FileFacts:
    """Describe a MATLAB file.

    Args:
        path: Path of the file.
        entry: Its manifest entry.
        content: Its variables.
        name: Name of the format.

    Raises:
        DataError: the variable that the manifest names is absent or not an array of numbers, or no
            variable may be the signal.
    """
    variables = content.variables
    signal = _signal(path, entry, variables)
    if signal is None:
        return FileFacts(shape=None, members=tuple(variables))
    shape = squeezed(variables[signal].shape)
    rate = _first(RATES, variables, "numeric")
    names = _first(NAMES, variables, "text")
    units = _first(UNITS, variables, "text")
    channels = content.texts(names) if names else None
    if not channels or (len(shape) > 1 and len(channels) not in shape):
        # They are not the names of the channels.
        channels, names = None, ""
    unit = content.texts(units) if units else ()
    count = len(channels or entry.channels or ()) or 1
    return FileFacts(
        shape=shape,
        channels=channels,
        sampling_rate_hz=content.number(rate) if rate else None,
        units=(unit * count if len(unit) == 1 else unit if len(unit) == count else None) or None,
        member=signal,
        members=tuple(variables),
        loaded_bytes=8 * variables[signal].size,
        origin=Origin(
            format=name,
            rate=f"variable {rate!r}" if rate else "",
            names=f"variable {names!r}" if names else "",
            units=f"variable {units!r}" if units else "",
        ),
    )


def squeezed(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape without axes of length 1: MATLAB has no vectors."""
    return tuple(length for length in shape if length != 1) or (1,)


def _signal(path: Path, entry: ManifestEntry, variables: Mapping[str, Variable]) -> str | None:
    if entry.array is not None:
        if entry.array not in variables or variables[entry.array].kind != "numeric":
            kind = variables[entry.array].kind if entry.array in variables else "absent"
            raise DataError(
                f"{entry.label}: variable {entry.array!r} of {path} is {kind}; an array of "
                f"numbers is expected. The file has {_listed(variables)}."
            )
        return entry.array
    arrays = {
        name: variable
        for name, variable in variables.items()
        if variable.kind == "numeric" and variable.size >= _MIN_SAMPLES
    }
    usual = [name for name in arrays if name.lower() in SIGNALS]
    found = usual or list(arrays)
    if not found:
        raise DataError(
            f"{path} has no array of numbers that may be a signal ({_listed(variables)}); a matrix "
            "of samples is expected, not a struct. Save one with save(file, 'X', 'fs', '-v7')."
        )
    return found[0] if len(found) == 1 else None


def _first(names: Sequence[str], variables: Mapping[str, Variable], kind: str) -> str:
    """Return the first variable with a usual name, '' if there is none."""
    by_name = {name.lower(): name for name in reversed(list(variables))}
    for name in names:
        found = by_name.get(name, "")
        if (
            found
            and variables[found].kind == kind
            and (kind == "text" or _is_one(found, variables))
        ):
            return found
    return ""


def _is_one(name: str, variables: Mapping[str, Variable]) -> bool:
    return variables[name].size == 1


def _listed(variables: Mapping[str, Variable]) -> str:
    texts = [
        f"{name[:60]} ({variable.kind} {'x'.join(map(str, variable.shape))})"
        for name, variable in list(variables.items())[:_SHOWN]
    ]
    return ", ".join(texts) or "no variables"

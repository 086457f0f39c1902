"""Conversion of samples to arrays of real numbers, with NaN for masked values."""

from collections.abc import Iterator, Mapping, Set
from typing import NamedTuple

import numpy as np

from physio_mae_jax.errors import DataError
from physio_mae_jax.printable import show
from physio_mae_jax.signals.float32_range import remove_large_offset


class Samples(NamedTuple):
    """Samples of one recording or several.

    Attributes:
        values: Samples, of any real type; a memory-mapped file stays mapped.
        are_integers: True if the input was integer, whatever the type of ``values``.
        num_missing: Number of masked or NA values.
    """

    values: np.ndarray
    are_integers: bool
    num_missing: int = 0


def samples_of(signal: object, name: str) -> Samples:
    """Return the samples of an array, a list of numbers, or anything NumPy can convert.

    Args:
        signal: Input that NumPy can convert; masked arrays of any type.
        name: Name of the signal, for messages.

    Raises:
        DataError: The input is not real numbers, or cannot be converted to an array.
    """
    if isinstance(signal, list | tuple) and any(entry is np.ma.masked for entry in signal):
        masked = [entry is np.ma.masked for entry in signal]
        shown = [0 if is_masked else entry for entry, is_masked in zip(signal, masked, strict=True)]
        signal = np.ma.array(_array(shown, name), mask=masked)
    if isinstance(signal, np.ma.MaskedArray):
        return _unmasked(signal, name)
    array = _check_real(_array(signal, name), name)
    return Samples(array, array.dtype.kind in "iu")


def _array(signal: object, name: str) -> np.ndarray:
    if isinstance(signal, Mapping | Set | Iterator):
        raise DataError(
            f"{name} is a {type(signal).__name__}; give an array [channel, sample], a frame, or a "
            "list of these."
        )
    try:
        array = np.asarray(signal)
    except Exception as error:  # NumPy or another library's conversion may raise anything
        raise DataError(
            f"no array can be made of {name} ({type(error).__name__}: {str(error)[:200]}); give "
            "numbers [channel, sample]; recordings of several lengths go into a list of arrays."
        ) from error
    # Types of ml_dtypes, which NumPy does not know.
    is_short = array.dtype.name.startswith(("bfloat16", "float8"))
    return array.astype(np.float32) if is_short else array


def _check_real(array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype.kind not in "fiu":
        raise DataError(
            f"{name} is an array of {array.dtype}; a signal is real numbers, float or integer. "
            "Convert it, and exclude columns that are not signals, such as times."
        )
    return array


def _unmasked(signal: np.ma.MaskedArray, name: str) -> Samples:
    """Return masked numbers with NaN at masked positions, ignoring the data below the mask."""
    values, mask = _check_real(signal.data, name), np.ma.getmaskarray(signal)
    whole = values.dtype.kind in "iu"
    if not mask.any():
        return Samples(np.asarray(values), whole)
    if whole:
        # A value of its row, so that the data below a mask does not affect the offset.
        seen = np.where(mask, values.dtype.type(0), values)
        if values.ndim and values.shape[-1]:
            first = np.argmin(mask, axis=-1)[..., None]
            seen = np.where(mask, np.take_along_axis(values, first, axis=-1), values)
        seen = remove_large_offset(seen)
        wide = np.float64 if values.dtype.itemsize > 2 else np.float32
        filled = seen.astype(wide)
    else:
        filled = np.array(values)
    filled[mask] = np.nan
    return Samples(filled, whole, int(mask.sum()))


def reject_unordered(signal: object) -> None:
    """Reject iterables that are not lists of recordings."""
    if isinstance(signal, Iterator | Set | Mapping):
        raise DataError(
            f"the signal is a {type(signal).__name__} ({show(signal)}); give a list of recordings, "
            "an array or a frame."
        )

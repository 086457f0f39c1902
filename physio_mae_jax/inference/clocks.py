"""Detection of channels that only count: times or sample numbers mistaken for a signal."""

from collections.abc import Sequence

import numpy as np

from physio_mae_jax.data.arrays import ArrayRecordings
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.channels import canonical_name

# Steps of a clock differ by less; no signal rises this evenly for this many samples.
_TOLERANCE, _MIN_SAMPLES, _MAX_SAMPLES = 0.01, 32, 65_536


def reject_clocks(source: ArrayRecordings, known: Sequence[str]) -> None:
    """Reject channels that only count.

    Args:
        source: Recordings passed as arrays.
        known: Names of channels to check; others are ignored.

    Raises:
        DataError: A channel increases by a constant step from sample to sample.
    """
    names = set(map(canonical_name, known))
    for index, info in enumerate(source.recordings):
        checked = source.read(index, 0, min(info.num_samples, _MAX_SAMPLES))
        for values, name in zip(checked, info.channel_names, strict=True):
            if canonical_name(name) in names and is_clock(values):
                raise DataError(
                    f"{info.record_id}: channel {name!r} increases by a constant step from "
                    f"{values[0]:g} to {values[-1]:g}, so it is a time or a sample index, not a "
                    "signal. Exclude that row or column, and check that each row has its own name."
                )


def is_clock(values: np.ndarray) -> bool:
    """Return whether [n] values increase at every sample by nearly equal steps."""
    if len(values) < _MIN_SAMPLES:
        return False
    with np.errstate(invalid="ignore"):  # of infinite values
        steps = np.diff(values.astype(np.float64))
    if not (steps > 0).all():
        return False
    mean = (float(values[-1]) - float(values[0])) / len(steps)
    # float32 rounds large times, so a step is only accurate to the last digit.
    rounding = 2 * float(np.spacing(values[-1:])[0])
    return bool(np.abs(steps - mean).max() <= _TOLERANCE * mean + rounding)

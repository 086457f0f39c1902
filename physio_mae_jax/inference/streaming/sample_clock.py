"""Samples with time stamps as a signal of constant rate, with NaN where some are missing."""

from collections.abc import Iterator

import numpy as np

from physio_mae_jax.errors import DataError

# The rate of a device differs from what it states, so its clock is followed this slowly.
_FOLLOW_SECONDS = 10.0
_PIECE_SECONDS = 1.0


class SampleClock:
    """Counts samples against their time stamps.

    A time stamp that is later than expected by more than ``gap_seconds`` follows a gap: missing
    samples become NaN. Smaller differences are jitter, and the drift of the device's clock.
    """

    def __init__(self, sampling_rate_hz: float, gap_seconds: float) -> None:
        """Start with the first sample that ``with_gaps`` is given."""
        self._rate_hz = sampling_rate_hz
        self._gap_seconds = gap_seconds
        self._expected: float | None = None  # time stamp of the next sample

    def with_gaps(self, samples: np.ndarray, stamps: np.ndarray) -> Iterator[np.ndarray]:
        """Yield samples and gaps in order.

        Args:
            samples: [M, n] float.
            stamps: Time stamps [n], seconds.

        Raises:
            DataError: A time stamp is earlier than expected by more than ``gap_seconds``, or is not
                finite.
        """
        begin = 0
        for index, stamp in enumerate(stamps.tolist()):
            lost = self._count_lost(stamp)
            if lost:
                if index > begin:
                    yield samples[:, begin:index]
                yield from self._missing(len(samples), lost, samples.dtype)
                begin = index
        if len(stamps) > begin:
            yield samples[:, begin:]

    def _count_lost(self, stamp: float) -> int:
        """Return how many samples are missing before one with a time stamp."""
        late = 0.0 if self._expected is None else stamp - self._expected
        if not late >= -self._gap_seconds:
            raise DataError(
                f"a time stamp is {-late:.3f} s earlier than expected, so the clock of the device "
                f"was set back, or its time stamps vary by more than the {self._gap_seconds:g} s "
                "that are taken for a gap; start again, or give a longer --lsl_gap_seconds."
            )
        step = 1 / self._rate_hz
        if late > max(self._gap_seconds, step):
            self._expected = stamp + step
            return round(late * self._rate_hz)
        followed = late * step / (_FOLLOW_SECONDS + step)
        self._expected = (stamp if self._expected is None else self._expected + followed) + step
        return 0

    def _missing(self, num_channels: int, count: int, dtype: np.dtype) -> Iterator[np.ndarray]:
        """Yield NaN [M, n] in pieces, since a gap may be long."""
        step = max(1, round(_PIECE_SECONDS * self._rate_hz))
        for begin in range(0, count, step):
            yield np.full((num_channels, min(step, count - begin)), np.nan, dtype)

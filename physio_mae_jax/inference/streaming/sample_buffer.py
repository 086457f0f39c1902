"""The newest samples of a signal, addressed by their position in it."""

import numpy as np

from physio_mae_jax.errors import DataError


class SampleBuffer:
    """Samples [M, first, …, stop) of a signal; older ones are discarded.

    All samples have the type of the first ones, so that what is read does not depend on how they
    arrived. Memory is at most twice the samples that are retained and those of one ``append``.
    """

    def __init__(self, num_channels: int) -> None:
        """Create an empty buffer of M channels."""
        self._values = np.zeros((num_channels, 0), np.float32)
        self._begin = 0  # column of ``first`` in the array
        self._end = 0
        self.first = 0
        self._typed = False

    @classmethod
    def of(cls, samples: np.ndarray, first: int) -> "SampleBuffer":
        """Create a buffer with samples [M, n], the first of which is at position ``first``."""
        made = cls(len(samples))
        made.first = first
        if first or samples.shape[1]:
            made._values, made._end, made._typed = samples, samples.shape[1], True
        return made

    @property
    def stop(self) -> int:
        """Number of samples received so far."""
        return self.first + self._end - self._begin

    @property
    def retained(self) -> np.ndarray:
        """The samples [M, stop - first]; valid until the next call of ``append``."""
        return self._values[:, self._begin : self._end]

    def check_type(self, dtype: np.dtype) -> None:
        """Reject samples that the type of the first ones cannot represent, with a DataError."""
        if self._typed and not np.can_cast(dtype, self._values.dtype, "safe"):
            raise DataError(
                f"the samples are {dtype}, but the stream began with {self._values.dtype}, which "
                "cannot represent them; give samples of one type from the first call of push, such "
                "as samples.astype(np.float64)."
            )

    def append(self, samples: np.ndarray) -> None:
        """Add samples [M, n], n > 0, of a type that ``check_type`` accepts."""
        if not self._typed:
            self._values, self._typed = np.zeros((len(samples), 0), samples.dtype), True
        count = samples.shape[1]
        if self._end + count > self._values.shape[1]:
            self._make_room(count)
        self._values[:, self._end : self._end + count] = samples
        self._end += count

    def _make_room(self, count: int) -> None:
        """Move the retained samples to the start of a new array with space for ``count`` more."""
        kept = self.retained
        size = kept.shape[1]
        # Twice what is needed, so that samples are moved rarely.
        values = np.zeros((len(kept), 2 * (size + count)), kept.dtype)
        values[:, :size] = kept
        self._values, self._begin, self._end = values, 0, size

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return samples [start, stop) of the signal, [M, stop - start]."""
        shift = self._begin - self.first
        return self._values[:, start + shift : stop + shift]

    def discard_before(self, position: int) -> None:
        """Discard the samples before a position."""
        count = max(0, min(position, self.stop) - self.first)
        self.first += count
        self._begin += count

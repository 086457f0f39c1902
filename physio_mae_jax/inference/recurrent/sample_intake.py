"""Samples as received to float32 without offset and without missing values."""

import dataclasses

import numpy as np

from physio_mae_jax.inference.streaming.stream_layout import StreamLayout


@dataclasses.dataclass(eq=False)
class SampleIntake:
    """What the samples of each row are relative to, and its last value.

    Attributes:
        origin: [M] float64, first finite value of each row; NaN before it.
        last: [M] float32, last finite value relative to it.
    """

    origin: np.ndarray
    last: np.ndarray

    @classmethod
    def start(cls, num_rows: int) -> "SampleIntake":
        """Return the state before the first sample."""
        return cls(np.full(num_rows, np.nan), np.zeros(num_rows, np.float32))

    def receive(self, samples: np.ndarray, layout: StreamLayout) -> np.ndarray:
        """Convert samples and update the state.

        Args:
            samples: [M, n] as received.
            layout: Layout of the stream.

        Returns:
            [M + 1, n] float32: the samples relative to the first one, missing ones as the last
            before them; and a row that is 1 where a row that the model uses is missing, else 0.
        """
        # Always float64, so that rounding does not depend on the other samples of a call.
        values = samples.astype(np.float64)
        if layout.gain is not None:
            values = values / layout.gain[:, None]
        finite = np.isfinite(values)
        made = np.zeros((len(values) + 1, values.shape[1]), np.float32)
        for row, (given, known) in enumerate(zip(values, finite, strict=True)):
            found = np.flatnonzero(known)
            if not len(found):
                made[row] = self.last[row]
                continue
            if np.isnan(self.origin[row]):
                self.origin[row] = given[found[0]]
            relative = (given - self.origin[row]).astype(np.float32)
            latest = np.maximum.accumulate(np.where(known, np.arange(len(given)), -1))
            made[row] = np.where(latest < 0, self.last[row], relative[latest])
            self.last[row] = made[row, -1]
        made[-1] = ~finite[list(layout.plan.montage.sources)].all(axis=0)
        return made

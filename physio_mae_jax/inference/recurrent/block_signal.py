"""The samples that a block of columns needs, at the model's rate."""

import dataclasses
from typing import NamedTuple

import numpy as np

from physio_mae_jax.data.window_transform import WindowConfig, derive_window, plan_window
from physio_mae_jax.inference.streaming.sample_buffer import SampleBuffer
from physio_mae_jax.inference.streaming.stream_layout import StreamLayout

# Position of a sample that no stream reaches: then no block is limited by the end of the signal.
_FAR = 2**62


class BlockSamples(NamedTuple):
    """Samples of a block.

    Attributes:
        values: [m, reach + Q · pt + reach] float32 samples of the model's channels, up to an offset
            of each; past the ends of the signal they are reflected, or zero with the bank
            'samples'.
        valid: [Q] bool, False for columns past the end and for those with missing values.
    """

    values: np.ndarray
    valid: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class BlockLayout:
    """Blocks of columns over a signal.

    Attributes:
        stream: The signal; its hop is a block.
        reach: Samples on each side of a block that its wavelets read.
        edge: Mode of ``numpy.pad`` past the ends of the signal.
    """

    stream: StreamLayout
    reach: int
    edge: str

    @property
    def block_samples(self) -> int:
        """Samples of a block at the model's rate."""
        return self.stream.hop_columns * self.stream.model.column_samples

    @property
    def delay_seconds(self) -> float:
        """Upper bound of the time from the last sample of a block to its row, seconds."""
        return self.reach / self.stream.model.window.sampling_rate_hz + self.stream.delay_seconds

    def span(self, column: int) -> tuple[int, int]:
        """Return the samples [first, last) as received that the block at a column needs."""
        spec = plan_window(
            dataclasses.replace(self.stream.info, num_samples=_FAR),
            self.stream.plan,
            *self._window(column, _FAR),
        )
        return spec.first, spec.last

    def samples(self, buffer: SampleBuffer, column: int, *, ended: bool) -> BlockSamples:
        """Make the samples of a block.

        Args:
            buffer: Received samples [M + 1, n], without missing values; the last row is not 0 where
                a channel of the model was missing.
            column: First column of the block.
            ended: Whether the signal ends with the last sample received.
        """
        received = buffer.stop if ended else _FAR
        info = dataclasses.replace(self.stream.info, num_samples=received)
        total = self.stream.model.window.change(info).length_after(received)
        config, begin = self._window(column, total)
        spec = plan_window(info, self.stream.plan, config, begin)
        raw = buffer.read(spec.first, spec.last)[:-1]
        made = derive_window(raw, spec)
        start = column * self.stream.model.column_samples
        before = self.reach - (start - begin)
        after = 2 * self.reach + self.block_samples - before - made.shape[1]
        values = np.pad(made, [(0, 0), (before, after)], mode=self.edge)  # type: ignore[call-overload]
        return BlockSamples(values, self._valid(buffer, column, total))

    def _window(self, column: int, total: int) -> tuple[WindowConfig, int]:
        """Return the samples of a block with its reach, as far as there are any."""
        start = column * self.stream.model.column_samples
        begin = max(0, start - self.reach)
        end = min(total, start + self.block_samples + self.reach)
        config = dataclasses.replace(
            self.stream.model.window,
            num_channels=len(self.stream.plan.channels),
            num_samples=end - begin,
        )
        return config, begin

    def _valid(self, buffer: SampleBuffer, column: int, total: int) -> np.ndarray:
        """Return which columns of a block are whole and without missing values."""
        size = self.stream.model.column_samples
        ratio = self.stream.info.sampling_rate_hz / self.stream.model.window.sampling_rate_hz
        columns = np.arange(column, column + self.stream.hop_columns)
        valid = (columns + 1) * size <= total
        for index in np.flatnonzero(valid):
            first = int(columns[index] * size * ratio)
            last = min(buffer.stop, int(np.ceil((columns[index] + 1) * size * ratio)))
            valid[index] = not buffer.read(first, last)[-1].any()
        return valid

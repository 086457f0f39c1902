"""A signal that is encoded while it is received."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.clocks import is_clock
from physio_mae_jax.inference.recording_plan import ModelInput
from physio_mae_jax.inference.signal_metadata import SignalMetadata
from physio_mae_jax.inference.streaming.rows import StreamRow
from physio_mae_jax.inference.streaming.sample_buffer import SampleBuffer
from physio_mae_jax.inference.streaming.saved_stream import (
    SavedStream,
    read_stream,
    reject_resuming,
    write_stream,
)
from physio_mae_jax.inference.streaming.stream_layout import NAME, StreamLayout
from physio_mae_jax.types import JsonObject

# Encodes one window, the entries of ``window_batches.pad_columns``, as [D] or [W, D].
WindowEncoder = Callable[[dict[str, np.ndarray]], np.ndarray]


class Stream:
    """Rows of windows of a signal, encoded while it is received.

    The rows of ``push`` and ``flush`` together are those of ``Encoder.encode`` of all samples with
    rows='window', bit for bit if it encodes one window at a time. They do not depend on how the
    samples are divided among the calls. Memory is bounded by a window and a hop. One thread may use
    a stream at a time; streams share nothing but the encoder, which does not change.
    """

    def __init__(
        self,
        encode: WindowEncoder,
        model: ModelInput,
        output_shape: tuple[int, ...],
        fingerprint: str,
        *,
        description: SignalMetadata,
        hop_seconds: object = None,
    ) -> None:
        """Open a stream.

        Args:
            encode: Encodes one window.
            model: Windows of the model.
            output_shape: Shape of an embedding.
            fingerprint: Hash of the model.
            description: Description of the signal.
            hop_seconds: Distance between windows, seconds; None for half a window.

        Raises:
            UserError: The description is incomplete, a channel is unknown, or the hop does not fit.
        """
        self._encode = encode
        self._layout = StreamLayout.of(model, description, hop_seconds)
        self._output_shape = output_shape
        self._fingerprint = fingerprint
        self._buffer = SampleBuffer(len(self._layout.info.channel_names))
        self._column = 0  # first column of the next window
        self._end = ""  # why nothing more may be pushed; '' while the stream is open

    @property
    def delay_seconds(self) -> float:
        """Upper bound of the time from the last sample of a window to its row, seconds."""
        return self._layout.delay_seconds

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels of a window, in the order of the model."""
        return self._layout.plan.channels

    @property
    def hop_seconds(self) -> float:
        """Distance between windows, seconds."""
        return self._layout.hop_columns * self._layout.column_seconds

    @property
    def seconds(self) -> float:
        """Duration of the signal received so far, seconds."""
        return self._buffer.stop / self._layout.info.sampling_rate_hz

    def push(self, samples: object) -> list[StreamRow]:
        """Add samples and return the rows of the windows that are complete.

        Args:
            samples: Next samples [M, n] of all channels, n ≥ 0; [n] of a single channel. Missing
                values are NaN.

        Raises:
            DataError: The shape or the type does not fit, the stream has ended, or a channel only
                counts. What was pushed before remains.
        """
        if self._end:
            raise DataError(f"the stream has ended: {self._end}; open a new one for more samples.")
        values = self._layout.checked(samples)
        if values.shape[1]:
            self._buffer.check_type(values.dtype)
        rows: list[StreamRow] = []
        # A piece at a time, so that memory does not depend on the number of samples.
        seconds = min(self.hop_seconds, self._layout.model.window.seconds)
        step = max(1, round(seconds * self._layout.info.sampling_rate_hz))
        for begin in range(0, values.shape[1], step):
            self._buffer.append(values[:, begin : begin + step])
            rows += self._complete_rows()
        return rows

    def flush(self) -> list[StreamRow]:
        """End the stream and return the rows of the rest, the last one flush with its end.

        A stream shorter than a window gives one row, and one shorter than a column none.
        """
        if self._end:
            raise DataError(f"the stream has ended: {self._end}; flush is called once.")
        layout = self._layout
        total, window = layout.num_columns_of(self._buffer.stop), layout.model.num_columns
        self._end = "flush was called"
        if total < window:
            return [self._row(0, total)] if total and self._buffer.stop > 1 else []
        last = total - window
        if last <= self._column - layout.hop_columns:
            return []
        columns = [*range(self._column, last, layout.hop_columns), last]
        return [self._row(column, window) for column in columns]

    def save(self, path: str | Path) -> Path:
        """Write the state of the stream into one file, atomically; the stream stays open."""
        state = SavedStream(
            settings=self._settings(),
            column=self._column,
            first=self._buffer.first,
            end=self._end,
            samples=self._buffer.retained,
        )
        return write_stream(state, path)

    def resume(self, path: str | Path) -> "Stream":
        """Take over the state of a saved stream with the same model and arguments.

        Args:
            path: File of ``save``.

        Returns:
            This stream; what follows is as if it had never been interrupted.

        Raises:
            ConfigError: Samples were already pushed to this stream.
            DataError: The file is damaged, or is of another model or other arguments.
        """
        reject_resuming(self.seconds, is_used=bool(self._buffer.stop or self._end))
        state = read_stream(path, self._settings())
        self._buffer = SampleBuffer.of(state.samples, state.first)
        self._column, self._end = state.column, state.end
        return self

    def _settings(self) -> JsonObject:
        """Return what must be equal where a stream is resumed."""
        return {
            "model": self._fingerprint,
            "output_shape": list(self._output_shape),
            **self._layout.settings(),
        }

    def _complete_rows(self) -> list[StreamRow]:
        layout, buffer = self._layout, self._buffer
        rows = []
        while buffer.stop >= layout.stop_of(self._column):
            if not self._column:
                self._reject_clocks()
            rows.append(self._row(self._column, layout.model.num_columns))
            self._column += layout.hop_columns
        # The last window of ``flush`` may begin before the next one.
        last = layout.num_columns_of(buffer.stop) - layout.model.num_columns
        buffer.discard_before(layout.first_of(max(0, min(self._column, last))))
        return rows

    def _reject_clocks(self) -> None:
        """Reject channels that only count in the first window, and end the stream."""
        for values, name in zip(
            self._buffer.retained, self._layout.info.channel_names, strict=True
        ):
            if is_clock(values):
                self._end = f"channel {name!r} only counts"
                raise DataError(
                    f"{NAME}: channel {name!r} increases by a constant step from {values[0]:g} to "
                    f"{values[-1]:g}, so it is a time or a sample index, not a signal. Exclude "
                    "that row, and check that each row has its own name."
                )

    def _row(self, column: int, num_columns: int) -> StreamRow:
        window = self._layout.window(self._buffer, column, num_columns)
        if window.entries is None:
            embedding = np.full(self._output_shape, np.nan, np.float32)
        else:
            embedding = self._encode(window.entries)
        seconds = self._layout.column_seconds
        return StreamRow(
            start_seconds=column * seconds,
            end_seconds=(column + num_columns) * seconds,
            embedding=embedding,
            rejected=window.rejected,
            masked=window.masked,
        )

"""A signal that is encoded block by block while it is received."""

from pathlib import Path

import numpy as np

from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.recurrent.block_encoder import BlockEncoder
from physio_mae_jax.inference.recurrent.block_signal import BlockLayout
from physio_mae_jax.inference.recurrent.sample_intake import SampleIntake
from physio_mae_jax.inference.recurrent.state_arrays import arrays_of, state_of
from physio_mae_jax.inference.streaming.rows import StreamRow
from physio_mae_jax.inference.streaming.sample_buffer import SampleBuffer
from physio_mae_jax.inference.streaming.saved_stream import (
    SavedStream,
    read_stream,
    reject_resuming,
    write_stream,
)
from physio_mae_jax.inference.window_rows import IN_GAP, IS_FLAT
from physio_mae_jax.types import JsonObject


class RecurrentStream:
    """Rows of the blocks of a signal, each encoded after all samples before it.

    The rows of ``push`` and ``flush`` together do not depend on how the samples are divided among
    the calls; ``offline.encode_offline`` gives the same up to rounding. Memory and the time of a
    row do not depend on the duration of the stream. One thread may use a stream at a time; streams
    share nothing but the encoder, which does not change.
    """

    def __init__(
        self, encode: BlockEncoder, layout: BlockLayout, fingerprint: str, *, by_column: bool
    ) -> None:
        """Open a stream.

        Args:
            encode: Encoder of blocks.
            layout: Blocks over the signal.
            fingerprint: Hash of the model.
            by_column: Whether an embedding is [Q, D], one of each column, or their mean [D].
        """
        self._encode = encode
        self._layout = layout
        self._fingerprint = fingerprint
        self._by_column = by_column
        self._intake = SampleIntake.start(len(layout.stream.info.channel_names))
        self._buffer = SampleBuffer(len(layout.stream.info.channel_names) + 1)
        self._state = encode.start()
        self._column = 0  # first column of the next block
        self._end = ""  # why nothing more may be pushed; '' while the stream is open

    @property
    def lookahead_seconds(self) -> float:
        """Duration of a block, of which a column reads later columns at most; seconds."""
        return self._layout.stream.hop_columns * self._layout.stream.column_seconds

    @property
    def hop_seconds(self) -> float:
        """Distance between rows, seconds: a block."""
        return self.lookahead_seconds

    @property
    def delay_seconds(self) -> float:
        """Upper bound of the time from the last sample of a block to its row, seconds.

        It is the signal after a block that its wavelets, and the filters, need.
        """
        return self._layout.delay_seconds

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels that are encoded, in the order of the model."""
        return self._layout.stream.plan.channels

    @property
    def seconds(self) -> float:
        """Duration of the signal received so far, seconds."""
        return self._buffer.stop / self._layout.stream.info.sampling_rate_hz

    def push(self, samples: object) -> list[StreamRow]:
        """Add samples and return the rows of the blocks that are complete.

        Args:
            samples: Next samples [M, n] of all channels, n ≥ 0; [n] of a single channel. Missing
                values are NaN: columns that they touch have no embedding and affect no other.

        Raises:
            DataError: The shape does not fit, or the stream has ended. What was pushed before
                remains.
        """
        if self._end:
            raise DataError(f"the stream has ended: {self._end}; open a new one for more samples.")
        values = self._layout.stream.checked(samples)
        rows: list[StreamRow] = []
        # A block at a time, so that memory does not depend on the number of samples.
        step = max(1, round(self.hop_seconds * self._layout.stream.info.sampling_rate_hz))
        for begin in range(0, values.shape[1], step):
            received = values[:, begin : begin + step]
            self._buffer.append(self._intake.receive(received, self._layout.stream))
            while self._buffer.stop >= self._layout.span(self._column)[1]:
                rows.append(self._row(ended=False))
            self._buffer.discard_before(self._layout.span(self._column)[0])
        return rows

    def flush(self) -> list[StreamRow]:
        """End the stream and return the rows of the rest, the last one perhaps of fewer columns."""
        if self._end:
            raise DataError(f"the stream has ended: {self._end}; flush is called once.")
        self._end = "flush was called"
        rows = []
        total = self._layout.stream.num_columns_of(self._buffer.stop)
        while self._column < total:
            rows.append(self._row(ended=True, num_columns=total - self._column))
        return rows

    def save(self, path: str | Path) -> Path:
        """Write the state of the stream into one file, atomically; the stream stays open."""
        state = SavedStream(
            settings=self._settings(),
            column=self._column,
            first=self._buffer.first,
            end=self._end,
            samples=self._buffer.retained,
            arrays={
                "origin": self._intake.origin,
                "last": self._intake.last,
                **arrays_of(self._state),
            },
        )
        return write_stream(state, path)

    def resume(self, path: str | Path) -> "RecurrentStream":
        """Take over the state of a saved stream with the same model and arguments.

        Args:
            path: File of ``save``.

        Returns:
            This stream; what follows is as if it had never been interrupted.

        Raises:
            ConfigError: Samples were already pushed to this stream.
            DataError: The file is damaged, or of a stream with other settings.
        """
        reject_resuming(self.seconds, is_used=bool(self._buffer.stop or self._end))
        saved = read_stream(path, self._settings())
        arrays = dict(saved.arrays)
        self._intake = SampleIntake(arrays.pop("origin"), arrays.pop("last"))
        self._buffer = SampleBuffer.of(saved.samples, saved.first)
        self._state = state_of(arrays, self._state)
        self._column, self._end = saved.column, saved.end
        return self

    def _settings(self) -> JsonObject:
        """Return what must be equal where a stream is resumed."""
        return {
            **self._layout.stream.settings(),
            "model": self._fingerprint,
            "mode": "recurrent",
            "by_column": self._by_column,
        }

    def _row(self, *, ended: bool, num_columns: int | None = None) -> StreamRow:
        """Encode the next block, of at most ``num_columns`` columns."""
        stream = self._layout.stream
        block = self._layout.samples(self._buffer, self._column, ended=ended)
        embeddings, varies, self._state = self._encode(block, self._state)
        count = min(stream.hop_columns, num_columns or stream.hop_columns)
        start, self._column = self._column, self._column + stream.hop_columns
        valid, rejected = block.valid[:count], ""
        if not (valid.any() and varies.any()):
            rejected = IS_FLAT if valid.any() else IN_GAP
            valid = np.zeros_like(valid)
        return StreamRow(
            start_seconds=start * stream.column_seconds,
            end_seconds=(start + count) * stream.column_seconds,
            embedding=self._embedding(embeddings[:count], valid),
            rejected=rejected,
            masked=tuple(
                name for name, known in zip(self.channels, varies, strict=True) if not known
            ),
        )

    def _embedding(self, columns: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Return [Q, D], NaN where not valid, or [D], the mean of the valid columns."""
        found = np.where(valid[:, None], columns, np.nan).astype(np.float32)
        if self._by_column or not valid.any():
            return found if self._by_column else found[0]
        return found[valid].mean(axis=0)

"""Averaging of the windows of each recording, weighted by inverse overlap, or one row each."""

import dataclasses
from collections.abc import Iterable
from typing import NamedTuple, Protocol

import numpy as np

from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.encoding_config import Output
from physio_mae_jax.inference.recording_plan import EncodingPlan, RecordingPlan
from physio_mae_jax.inference.window_batches import WindowBatch
from physio_mae_jax.inference.window_rows import WindowCollector, WindowTimes, window_times
from physio_mae_jax.signals.channels import canonical_name


class LatentSize(Protocol):
    """Size of the latents of a model, such as a ``MaeConfig``."""

    @property
    def width(self) -> int:
        """Size D of a latent."""
        ...

    @property
    def num_rows(self) -> int:
        """Number of frequency rows H."""
        ...


class AveragedRecording(NamedTuple):
    """Embedding of a recording.

    Attributes:
        embedding: Float32 output, its channels in the order of the input; NaN where nothing was
            encoded. One row per window [n, D] with rows='window'.
        num_windows: Number of encoded windows.
        num_flat_windows: Number of windows that are excluded because no channel varies.
        flat: Number of windows in which each channel of the plan is constant [m].
        windows: Times of the rows; None if the row is the recording.
    """

    embedding: np.ndarray
    num_windows: int
    num_flat_windows: int
    flat: np.ndarray
    windows: WindowTimes | None = None


def average_windows(
    plan: EncodingPlan,
    encoded: Iterable[tuple[WindowBatch, np.ndarray]],
    output: Output,
    config: LatentSize,
) -> list[AveragedRecording]:
    """Average the windows of every planned recording, or collect them where rows are windows.

    Args:
        plan: Plan of the recordings.
        encoded: Batches of windows with their output, see ``compiled_encoder.pool_latents``.
        output: Requested output.
        config: Configuration of the encoder.

    Raises:
        DataError: No channel of a recording varies, and ``on_invalid`` is 'error'.
    """
    averagers = [
        WindowCollector.empty(one, config.width)
        if plan.by_window
        else OverlapAverager.empty(output, len(one.channels.channels), one.num_columns, config)
        for one in plan.recordings
    ]
    for batch, values in encoded:
        for row, (one, column) in enumerate(batch.positions):
            assert one.tiling
            averagers[one.recording].add(
                values[row],
                batch.arrays["channel_mask"][row, : len(one.channels.channels)],
                column,
                batch.arrays["column_weight"][row, : one.tiling.num_columns],
            )
    return [
        _averaged(one, averager, plan)
        for one, averager in zip(plan.recordings, averagers, strict=True)
    ]


def _averaged(
    one: RecordingPlan, averager: "OverlapAverager | WindowCollector", plan: EncodingPlan
) -> AveragedRecording:
    """Return the average of a recording; raises as ``average_windows`` does."""
    if one.tiling and not averager.windows[0] and plan.on_invalid == "error":
        raise DataError(
            f"{one.info.record_id}: no channel of it ever varies "
            f"({', '.join(one.channels.channels)}): all values are missing or constant, or differ "
            "by less than a millionth of its offset (float64: 1e-12). Check the sensor, subtract a "
            "large offset before rounding to float32, or get NaN for such recordings with "
            "on_invalid='skip'."
        )
    embedding, times = averager.mean(), None
    if isinstance(averager, WindowCollector):
        times = window_times(one, plan.input, averager.encoded)
    elif averager.output in ("channels", "tokens"):
        embedding = _in_input_order(embedding, one)
    num_windows, num_flat = map(int, averager.windows)
    return AveragedRecording(embedding, num_windows, num_flat, averager.flat, times)


def _in_input_order(values: np.ndarray, plan: RecordingPlan) -> np.ndarray:
    """Scatter rows [m, …] of the model's channels by name; NaN for the others."""
    row_of = {name: position for position, name in enumerate(plan.channels.channels)}
    rows = np.full((len(plan.rows), *values.shape[1:]), np.nan, np.float32)
    for row, name in enumerate(map(canonical_name, plan.rows)):
        if name in row_of:
            rows[row] = values[row_of[name]]
    return rows


@dataclasses.dataclass(frozen=True, eq=False)
class OverlapAverager:
    """Running sums over the windows of a recording.

    Attributes:
        output: Collected output, see ``compiled_encoder.pool_latents``.
        total: Weighted sum [D], [M, D], [T, D] or [M, T, H, D] for T columns of the recording.
        weight: Sum of the weights [], [M], [T] or [M, T].
        windows: Number of windows added, and excluded because no channel varies [2].
        flat: Number of windows in which each channel is constant [M].
    """

    output: Output
    total: np.ndarray
    weight: np.ndarray
    windows: np.ndarray
    flat: np.ndarray

    @classmethod
    def empty(
        cls, output: Output, num_channels: int, num_columns: int, config: LatentSize
    ) -> "OverlapAverager":
        """Return empty sums."""
        shapes = {
            "pooled": (),
            "channels": (num_channels,),
            "columns": (num_columns,),
            "tokens": (num_channels, num_columns),
        }
        tail = (config.num_rows, config.width) if output == "tokens" else (config.width,)
        # Sums over hours are kept in float64; a single column only sums a few windows.
        kind = np.float64 if output in ("pooled", "channels") else np.float32
        return cls(
            output=output,
            total=np.zeros((*shapes[output], *tail), kind),
            weight=np.zeros(shapes[output], kind),
            windows=np.zeros(2, np.int64),
            flat=np.zeros(num_channels, np.int64),
        )

    def add(
        self, values: np.ndarray, present: np.ndarray, column: int, column_weight: np.ndarray
    ) -> None:
        """Add a window.

        Args:
            values: Output of ``compiled_encoder.pool_latents``, with padded channels and columns
                last.
            present: Channels that vary [M], bool.
            column: First column of the window in the recording.
            column_weight: Weights [w] of the columns that are not padding.
        """
        self.flat[~present] += 1
        if not present.any():
            self.windows[1] += 1
            return
        self.windows[0] += 1
        columns = slice(column, column + len(column_weight))
        if self.output == "pooled":
            self._accumulate((...,), values, column_weight.sum())
        elif self.output == "channels":
            self._accumulate((...,), values[: len(present)], present * column_weight.sum())
        elif self.output == "columns":
            self._accumulate((columns,), values[: len(column_weight)], column_weight)
        else:
            weight = present[:, None] * column_weight
            kept = values[: len(present), : len(column_weight)]
            self._accumulate((slice(None), columns), kept, weight)

    def _accumulate(self, position: tuple, values: np.ndarray, weight: np.ndarray) -> None:
        factor = np.asarray(weight, np.float32)
        spread = factor.reshape(factor.shape + (1,) * (values.ndim - factor.ndim))
        self.total[position] += np.where(spread > 0, values * spread, 0.0)
        self.weight[position] += factor

    def mean(self) -> np.ndarray:
        """Return the averaged embedding, float32; NaN where nothing was encoded."""
        weight = self.weight.reshape(
            self.weight.shape + (1,) * (self.total.ndim - self.weight.ndim)
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            return (self.total / weight).astype(np.float32)

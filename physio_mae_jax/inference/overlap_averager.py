"""Averaging of the windows of a recording, weighted by inverse overlap."""

import dataclasses

import numpy as np

from physio_mae_jax.inference.compiled_encoder import Output
from physio_mae_jax.models.config import MaeConfig


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
        cls, output: Output, num_channels: int, num_columns: int, config: MaeConfig
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

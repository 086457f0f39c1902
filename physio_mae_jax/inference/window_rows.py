"""One embedding per window of a recording, with the times of the windows; gaps are rows too."""

import dataclasses
from typing import NamedTuple

import numpy as np

from physio_mae_jax.inference.recording_plan import ModelInput, RecordingPlan

IN_GAP, IS_FLAT = "gap", "flat"
_NO_TIME = ""


class WindowTimes(NamedTuple):
    """Times of the windows [n] of a recording, in order.

    Attributes:
        start_seconds, end_seconds: First and last instant, seconds from the start of the recording,
            float64.
        start_time: First instant, ISO 8601 in the clock of the recording device; '' where the file
            states no start.
        rejected: '' for an encoded window; 'gap' if values that are not finite touch it; 'flat' if
            no channel varies. The embedding of a rejected window is NaN.
    """

    start_seconds: np.ndarray
    end_seconds: np.ndarray
    start_time: np.ndarray
    rejected: np.ndarray


def window_times(plan: RecordingPlan, model: ModelInput, encoded: np.ndarray) -> WindowTimes:
    """Return the times of the windows of a recording.

    Args:
        plan: Plan of the recording, with regular windows.
        model: Windows of the model.
        encoded: Windows that are encoded [n], bool; those in gaps are not.
    """
    if plan.tiling is None:
        nothing = np.zeros(0)
        return WindowTimes(nothing, nothing, np.zeros(0, str), np.zeros(0, str))
    column_seconds = model.column_samples / model.window.sampling_rate_hz
    grid = plan.tiling.grid
    in_gap = np.isin(grid, plan.tiling.in_gaps)
    start_seconds = grid * column_seconds
    return WindowTimes(
        start_seconds=start_seconds,
        end_seconds=(grid + plan.tiling.num_columns) * column_seconds,
        start_time=clock_times(plan.info.start_time, start_seconds),
        rejected=np.where(encoded, "", np.where(in_gap, IN_GAP, IS_FLAT)),
    )


def clock_times(start_time: str, seconds: np.ndarray) -> np.ndarray:
    """Return the instants [n] after a start, ISO 8601 with milliseconds; '' without a start."""
    if not start_time:
        return np.full(len(seconds), _NO_TIME)
    after = np.round(seconds * 1e3).astype(np.int64).astype("timedelta64[ms]")
    return np.datetime_as_string(np.datetime64(start_time, "ms") + after)


@dataclasses.dataclass(frozen=True, eq=False)
class WindowCollector:
    """The embeddings of the windows of a recording.

    Attributes:
        grid: First column of every window [n], ascending.
        values: Embeddings [n, D] float32, NaN where nothing was encoded.
        encoded: Windows that were encoded [n], bool.
        windows: Number of windows added, and excluded because no channel varies [2].
        flat: Number of windows in which each channel of the plan is constant [M].
    """

    grid: np.ndarray
    values: np.ndarray
    encoded: np.ndarray
    windows: np.ndarray
    flat: np.ndarray

    @classmethod
    def empty(cls, plan: RecordingPlan, width: int) -> "WindowCollector":
        """Return a collector without embeddings."""
        grid = np.zeros(0, np.int64) if plan.tiling is None else plan.tiling.grid
        return cls(
            grid=grid,
            values=np.full((len(grid), width), np.nan, np.float32),
            encoded=np.zeros(len(grid), bool),
            windows=np.zeros(2, np.int64),
            flat=np.zeros(len(plan.channels.channels), np.int64),
        )

    def add(
        self, values: np.ndarray, present: np.ndarray, column: int, column_weight: np.ndarray
    ) -> None:
        """Add a window; arguments as for ``OverlapAverager.add``, with output 'pooled'."""
        del column_weight  # all columns of a window count alike
        self.flat[~present] += 1
        if not present.any():
            self.windows[1] += 1
            return
        self.windows[0] += 1
        row = int(np.searchsorted(self.grid, column))
        self.values[row] = values
        self.encoded[row] = True

    def mean(self) -> np.ndarray:
        """Return the embeddings [n, D]; nothing is averaged."""
        return self.values

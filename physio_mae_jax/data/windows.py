"""Model-ready windows of the recordings of a source."""

import functools
from collections.abc import Sequence

import numpy as np

from physio_mae_jax.data.batch_memory import BatchMemory
from physio_mae_jax.data.channel_plan import ChannelPlan, ChannelPlanner
from physio_mae_jax.data.source import RecordingInfo, SignalSource
from physio_mae_jax.data.window_stack import make_windows
from physio_mae_jax.data.window_starts import WindowStarts, window_starts
from physio_mae_jax.data.window_transform import (
    Example,
    WindowConfig,
    WindowSpec,
    make_window,
    plan_resampled,
)
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.preprocess import Resampler

_MAX_CACHED_PLANS = 65_536


class WindowReader:
    """Reads model-ready windows of any recording of a source."""

    def __init__(
        self, source: SignalSource, config: WindowConfig, planner: ChannelPlanner | None = None
    ) -> None:
        """Create a reader; ``planner`` defaults to one made from ``config``."""
        self.source = source
        self.config = config
        self._planner = planner or ChannelPlanner(config.channels, config.units)
        keys = [info.subject_key for info in source.recordings]
        self._subjects = np.unique(keys, return_inverse=True)[1].astype(np.int32)
        self._plan_of = functools.lru_cache(maxsize=_MAX_CACHED_PLANS)(self._make_plan)

    def plan(self, recording: int) -> ChannelPlan:
        """Return the channels of the windows of a recording, without padding."""
        return self._planner.plan(self.source.recordings[recording])

    def starts(self, recording: int, tempo: float = 1.0) -> WindowStarts:
        """Return all window starts, in samples at the model's rate and the given tempo.

        Raises:
            DataError: the recording, or every segment between its gaps, is shorter than a window.
        """
        info = self.source.recordings[recording]
        gaps = self._gaps(recording, info) if info.gaps else ()
        change = self.config.change(info, tempo)
        starts = _starts(info.num_samples, gaps, change, self.config.num_samples)
        if not len(starts):
            between = " between its gaps" if gaps else ""
            raise DataError(
                f"recording {info.record_id!r} lasts {info.seconds:.2f} s{between}, less than the "
                f"window of {self.config.seconds * tempo:.2f} s; shorten --config.window_seconds "
                "or exclude it with --config.data.on_invalid=skip."
            )
        return starts

    def _gaps(self, recording: int, info: RecordingInfo) -> tuple[tuple[int, int], ...]:
        """Return the gaps of the channels that the windows are made of."""
        needed = self.plan(recording).montage.sources
        return tuple((start, stop) for row, start, stop in info.gaps if row in needed)

    def read(self, recording: int, start: int, tempo: float = 1.0) -> Example:
        """Read one window and make it ready for the model.

        Args:
            recording: Recording index in the source.
            start: First sample at the model's rate and the tempo, one of ``starts``.
            tempo: Playback speed factor, the same for all channels.

        Returns:
            Entries of ``window_transform.make_window``; 'subject' int32, the same number for all
            windows of a subject; 'recording' and 'start' int32, which identify the window in
            reports.

        Raises:
            DataError: a value in the window is not finite.
        """
        return make_window(*self._read_raw(recording, start, tempo)) | {
            "subject": self._subjects[recording],
            "recording": np.int32(recording),
            "start": np.int32(start * tempo),
        }

    def _read_raw(self, recording: int, start: int, tempo: float) -> tuple[np.ndarray, WindowSpec]:
        """Return the raw samples that a window needs, and its plan."""
        spec = plan_resampled(*self._plan_of(recording, tempo), self.config, start)
        return self.source.read(recording, spec.first, spec.last), spec

    def _make_plan(
        self, recording: int, tempo: float
    ) -> tuple[RecordingInfo, ChannelPlan, Resampler]:
        """Return what all windows of a recording at a tempo have in common."""
        info = self.source.recordings[recording]
        return info, self._planner.plan(info), self.config.change(info, tempo)

    def read_batch(
        self, windows: Sequence[tuple[int, int, float]], memory: BatchMemory | None = None
    ) -> Example:
        """Read the windows of a batch; see ``read``.

        Args:
            windows: (recording, start, tempo) of each window.
            memory: Memory of 'signal'; None for new memory.

        Returns:
            Entries of ``read`` with a leading axis, equal bit for bit to those of single windows.

        Raises:
            DataError: a value in a window is not finite.
        """
        recordings, starts, tempos = (np.asarray(column) for column in zip(*windows, strict=True))
        raw, specs = zip(*(self._read_raw(*window) for window in windows), strict=True)
        return make_windows(raw, specs, memory) | {
            "subject": self._subjects[recordings],
            "recording": recordings.astype(np.int32),
            "start": (starts * tempos).astype(np.int32),
        }


@functools.lru_cache(maxsize=65_536)
def _starts(
    num_samples: int, gaps: tuple[tuple[int, int], ...], change: Resampler, length: int
) -> WindowStarts:
    return window_starts(num_samples, gaps, change, length)


def spread_windows(
    reader: WindowReader, recordings: Sequence[int], max_per_subject: int
) -> list[tuple[int, int]]:
    """Choose contiguous windows, evenly spread, at most ``max_per_subject`` per subject.

    Args:
        reader: Window reader of the source.
        recordings: Recording indices in the source.
        max_per_subject: Maximum number of windows of a subject.

    Returns:
        (recording, start) of each window, in order.
    """
    windows_of: dict[str, list[tuple[int, int]]] = {}
    for recording in recordings:
        starts = reader.starts(recording).end_to_end(reader.config.num_samples)
        subject = reader.source.recordings[recording].subject_key
        windows_of.setdefault(subject, []).extend((recording, start) for start in starts)
    chosen = []
    for windows in windows_of.values():
        count = min(max_per_subject, len(windows))
        ids = np.linspace(0, len(windows) - 1, count).astype(int)
        chosen += [windows[i] for i in ids]
    return chosen

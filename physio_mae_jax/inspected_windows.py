"""Windows as a model sees them: reconstructed, or with its attention, as NumPy arrays."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReconstructedWindow:
    """One window as NumPy arrays.

    Attributes:
        title: Recording and training step.
        channels: Channel names [M].
        sampling_rate_hz: Sampling rate of the window, in Hz.
        frequencies_hz: [S] center of each scalogram row, high to low.
        signal: [M, L] z-scored truth.
        predicted: [M, L], NaN on visible columns.
        masked: [W] bool, True for masked columns.
        scalogram, visible_scalogram, predicted_scalogram: [M, S, L] truth, encoder input,
            prediction.
    """

    title: str
    channels: tuple[str, ...]
    sampling_rate_hz: float
    frequencies_hz: np.ndarray
    signal: np.ndarray
    predicted: np.ndarray
    masked: np.ndarray
    scalogram: np.ndarray
    visible_scalogram: np.ndarray
    predicted_scalogram: np.ndarray

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.signal.shape[1] / self.sampling_rate_hz

    def masked_spans(self) -> list[tuple[float, float]]:
        """Return (start, stop) in seconds of each run of masked columns."""
        edges = np.flatnonzero(np.diff(np.concatenate([[0], self.masked.astype(int), [0]])))
        column_seconds = self.seconds / len(self.masked)
        return [(a * column_seconds, b * column_seconds) for a, b in edges.reshape(-1, 2)]

    def excerpt(self, max_seconds: float) -> "ReconstructedWindow":
        """Return the whole columns in the middle of at most so many seconds; at least one."""
        if self.seconds <= max_seconds:
            return self
        total = len(self.masked)
        count = max(1, int(total * max_seconds / self.seconds))
        first = (total - count) // 2
        size = self.signal.shape[1] // total
        samples = slice(first * size, (first + count) * size)
        start, stop = (edge / self.sampling_rate_hz for edge in (samples.start, samples.stop))
        names = ("signal", "predicted", "scalogram", "visible_scalogram", "predicted_scalogram")
        return dataclasses.replace(
            self,
            title=f"{self.title}: {start:g} to {stop:g} s of {self.seconds:g} s",
            masked=self.masked[first : first + count],
            **{name: getattr(self, name)[..., samples] for name in names},
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttendedWindow:
    """One window as NumPy arrays, and the attention of an encoder within it.

    Attributes:
        title: Recording and layer.
        channels: Channel names [M].
        sampling_rate_hz: Sampling rate of the window, in Hz.
        frequencies_hz: [S] center of each scalogram row, high to low.
        signal: [M, L] z-scored.
        scalogram: [M, S, L].
        received: [M, W, H] attention that each token receives; 1 if uniform.
        between: [M, M] attention from each row's channel to each column's; None without channel
            attention.
    """

    title: str
    channels: tuple[str, ...]
    sampling_rate_hz: float
    frequencies_hz: np.ndarray
    signal: np.ndarray
    scalogram: np.ndarray
    received: np.ndarray
    between: np.ndarray | None

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.signal.shape[1] / self.sampling_rate_hz

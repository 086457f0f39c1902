"""Encoding of recordings of any length: from windows to one embedding per recording.

``data.windows.WindowReader`` cuts the windows, so they are resampled, filtered and normalised as
in training. Threads read them ahead; they are encoded in batches of few distinct shapes. Besides
the embeddings, memory holds a few batches of windows, regardless of the recording's length.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from physio_mae_jax.data.channel_plan import ChannelPlan, ChannelPlanner
from physio_mae_jax.data.prefetch import prefetch
from physio_mae_jax.data.source import RecordingInfo, SignalSource
from physio_mae_jax.data.windows import Example, WindowConfig, WindowReader
from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.compiled_encoder import (
    CompiledEncoder,
    Output,
    batch_bucket,
    channel_bucket,
)
from physio_mae_jax.inference.overlap_averager import OverlapAverager
from physio_mae_jax.inference.tiling import Tiling, tile
from physio_mae_jax.signals.preprocess import Resampler


def read_columns(info: RecordingInfo, window: WindowConfig, patch_samples: int) -> int:
    """Count the whole columns of a recording at the rate of the model's windows."""
    change = Resampler.between(info.sampling_rate_hz, window.sampling_rate_hz)
    return change.length_after(info.num_samples) // patch_samples


@dataclasses.dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """Settings of an encoding.

    Attributes:
        window: Window specification of the model; its number of channels is not used.
        output: Requested output per recording.
        hop_columns: Hop between windows, columns.
        batch_size: Windows encoded at a time, a multiple of the number of devices.
        num_threads: Threads that read ahead.
    """

    window: WindowConfig
    output: Output
    hop_columns: int
    batch_size: int
    num_threads: int


class RecordingPlan(NamedTuple):
    """The windows of a recording.

    Attributes:
        recording: Index of the recording in the source.
        reader: Reader of its windows.
        tiling: Positions of the windows.
        num_channels: Number of channels of the recording, without padding.
    """

    recording: int
    reader: WindowReader
    tiling: Tiling
    num_channels: int


class _BatchPosition(NamedTuple):
    plan: RecordingPlan
    column: int


class Engine:
    """Encodes recordings of a source."""

    def __init__(
        self,
        source: SignalSource,
        planner: ChannelPlanner,
        programs: CompiledEncoder,
        config: EngineConfig,
    ) -> None:
        self._source = source
        self._planner = planner
        self._programs = programs
        self._config = config
        self._readers: dict[tuple[int, int], WindowReader] = {}

    def channel_plan(self, recording: int) -> ChannelPlan:
        """Return how the channels of a recording are made; DataError if two are the same."""
        return self._planner.plan(self._source.recordings[recording])

    def plan(self, recording: int) -> RecordingPlan:
        """Plan the windows of a recording; one shorter than a window gets one padded
        window.

        Raises:
            DataError: No channel is known, the recording is shorter than a column, or no interval
                between its gaps is as long as a window.
        """
        info, window = self._source.recordings[recording], self._config.window
        pt = self._programs.config.patch_samples
        channels = len(self.channel_plan(recording).channels)
        if not channels:
            raise DataError(
                f"{info.record_id!r} has no channel that the model knows: it has "
                f"{', '.join(info.channel_names)}."
            )
        total = read_columns(info, window, pt)
        if not total or info.num_samples < 2:
            raise DataError(
                f"{info.record_id!r} lasts {info.seconds:.4g} s ({info.num_samples} samples), less "
                f"than the {pt / window.sampling_rate_hz:g} s of the shortest piece that can be "
                "encoded."
            )
        num_columns = min(total, window.num_samples // pt)
        reader = self._reader(num_columns * pt, channel_bucket(channels))
        starts = reader.starts(recording)
        tiling = tile(starts, total, num_columns, self._config.hop_columns, pt)
        if not len(tiling.columns):
            raise DataError(
                f"{info.record_id!r} has no whole window of {window.seconds:g} s between its gaps."
            )
        return RecordingPlan(recording, reader, tiling, channels)

    def _reader(self, num_samples: int, num_channels: int) -> WindowReader:
        key = (num_samples, num_channels)
        if key not in self._readers:
            window = dataclasses.replace(
                self._config.window, num_samples=num_samples, num_channels=num_channels
            )
            self._readers[key] = WindowReader(self._source, window, self._planner)
        return self._readers[key]

    def encode(self, plans: Sequence[RecordingPlan]) -> list[OverlapAverager]:
        """Encode recordings; returns the averaged output of each."""
        cfg = self._programs.config
        collected = {
            plan.recording: OverlapAverager.empty(
                self._config.output, plan.num_channels, len(plan.tiling.coverage), cfg
            )
            for plan in plans
        }
        pending: list[tuple[Sequence[_BatchPosition], Mapping[str, np.ndarray], jax.Array]] = []
        for positions, batch in prefetch(
            self._read, self._batches(plans), self._config.num_threads
        ):
            # Fetched one batch late, so that the device computes while the next batch is read.
            pending.append((positions, batch, self._programs.run(batch, self._config.output)))
            if len(pending) > 1:
                self._collect(collected, *pending.pop(0))
        for last in pending:
            self._collect(collected, *last)
        return [collected[plan.recording] for plan in plans]

    def _batches(self, plans: Sequence[RecordingPlan]) -> Iterator[Sequence[_BatchPosition]]:
        """Group windows by padded shape."""
        groups: dict[tuple[int, bool], list[RecordingPlan]] = {}
        for plan in plans:
            shape = plan.reader.config.num_channels, self._is_short(plan)
            groups.setdefault(shape, []).append(plan)
        for group in groups.values():
            positions = [
                _BatchPosition(plan, int(c)) for plan in group for c in plan.tiling.columns
            ]
            for start in range(0, len(positions), self._config.batch_size):
                yield positions[start : start + self._config.batch_size]

    def _is_short(self, plan: RecordingPlan) -> bool:
        return plan.reader.config.num_samples < self._config.window.num_samples

    def _read(self, positions: Sequence[_BatchPosition]) -> dict[str, np.ndarray]:
        """Read a batch of windows and pad it with copies of the last one."""
        examples = [self._window(position) for position in positions]
        size = batch_bucket(len(positions), self._config.batch_size, self._programs.mesh.size)
        examples += [examples[-1]] * (size - len(examples))
        return {name: np.stack([e[name] for e in examples]) for name in examples[0]}

    def _window(self, position: _BatchPosition) -> Example:
        plan, column = position
        cfg = self._programs.config
        example = plan.reader.read(plan.recording, column * cfg.patch_samples)
        missing = cfg.num_columns - plan.tiling.num_columns
        window = {
            "signal": np.pad(example["signal"], [(0, 0), (0, missing * cfg.patch_samples)]),
            "channel_mask": example["channel_mask"],
            "channel_ids": example["channel_ids"],
            "column_weight": np.pad(plan.tiling.weights(column), (0, missing)).astype(np.float32),
        }
        if missing:
            window["num_valid_columns"] = np.int32(plan.tiling.num_columns)
        return window

    def _collect(
        self,
        collected: Mapping[int, OverlapAverager],
        positions: Sequence[_BatchPosition],
        batch: Mapping[str, np.ndarray],
        encoded: jax.Array,
    ) -> None:
        values = np.asarray(encoded)
        for row, (plan, column) in enumerate(positions):
            collected[plan.recording].add(
                values[row],
                batch["channel_mask"][row, : plan.num_channels],
                column,
                batch["column_weight"][row, : plan.tiling.num_columns],
            )

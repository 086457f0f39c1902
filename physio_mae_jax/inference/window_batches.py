"""Batches of the windows of planned recordings, read ahead by threads and padded to few shapes.

Memory holds a few batches of windows, regardless of the length of a recording.
"""

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from physio_mae_jax.data.prefetch import prefetch
from physio_mae_jax.data.window_transform import Example
from physio_mae_jax.inference.recording_plan import EncodingPlan, ModelInput, RecordingPlan


class WindowPosition(NamedTuple):
    """A window of a planned recording.

    Attributes:
        plan: Plan of the recording.
        column: First column of the window in the recording.
    """

    plan: RecordingPlan
    column: int


class WindowBatch(NamedTuple):
    """Windows of one padded shape.

    Attributes:
        positions: Windows of the batch, at most B; the others are copies of the last one.
        arrays: Entries 'signal' [B, M, L], 'channel_mask' and 'channel_ids' [B, M],
            'column_weight' [B, W] and, for padded windows, 'num_valid_columns' [B].
    """

    positions: Sequence[WindowPosition]
    arrays: dict[str, np.ndarray]


def window_batches(
    plan: EncodingPlan, *, batch_size: int, num_devices: int, num_threads: int
) -> Iterator[WindowBatch]:
    """Read the windows of all recordings.

    Args:
        plan: Plan of the recordings.
        batch_size: Maximum number of windows of a batch, a multiple of the number of devices.
        num_devices: Number of devices that share a batch.
        num_threads: Threads that read ahead.
    """
    read = functools.partial(_read, plan, batch_size, num_devices)
    groups = _groups(plan, batch_size)
    for positions, arrays in prefetch(read, groups, num_threads):
        yield WindowBatch(positions, arrays)


def _groups(plan: EncodingPlan, batch_size: int) -> Iterator[Sequence[WindowPosition]]:
    """Group windows by padded shape; a list of all would grow with the length of recordings."""
    groups: dict[tuple[int, bool], list[RecordingPlan]] = {}
    for one in plan.recordings:
        if one.tiling and one.reader:
            window = one.reader.config
            shape = window.num_channels, window.num_samples < plan.input.window.num_samples
            groups.setdefault(shape, []).append(one)
    for plans in groups.values():
        positions = _positions(plans)
        while batch := list(itertools.islice(positions, batch_size)):
            yield batch


def _positions(plans: Sequence[RecordingPlan]) -> Iterator[WindowPosition]:
    for one in plans:
        assert one.tiling is not None
        for column in one.tiling.columns:
            yield WindowPosition(one, int(column))


def batch_bucket(num_windows: int, batch_size: int, num_devices: int) -> int:
    """Return the size that a batch is padded to: a power of two per device."""
    share = -(-num_windows // num_devices)
    return min(batch_size, num_devices * 2 ** (share - 1).bit_length())


def _read(
    plan: EncodingPlan, batch_size: int, num_devices: int, positions: Sequence[WindowPosition]
) -> dict[str, np.ndarray]:
    """Read windows and pad their batch with copies of the last one."""
    windows = [_window(plan, position) for position in positions]
    size = batch_bucket(len(positions), batch_size, num_devices)
    return stack_windows(windows, size)


def stack_windows(windows: Sequence[dict[str, np.ndarray]], size: int) -> dict[str, np.ndarray]:
    """Stack windows of ``pad_columns`` to a batch of ``size``, with copies of the last one."""
    filled = [*windows, *[windows[-1]] * (size - len(windows))]
    return {name: np.stack([window[name] for window in filled]) for name in windows[0]}


def _window(plan: EncodingPlan, position: WindowPosition) -> dict[str, np.ndarray]:
    """Read one window and pad its columns to those of the model."""
    one, column = position
    assert one.tiling is not None
    assert one.reader is not None
    example = one.reader.read(one.recording, column * plan.input.column_samples)
    return pad_columns(example, one.tiling.weights(column), plan.input)


def pad_columns(example: Example, weights: np.ndarray, model: ModelInput) -> dict[str, np.ndarray]:
    """Pad the columns of a window to those of the model.

    Args:
        example: Window of ``window_transform.make_window``.
        weights: Weights of its columns [w].
        model: Windows of the model.

    Returns:
        Entries of ``WindowBatch.arrays``, without the axis B.
    """
    num_columns = len(weights)
    missing = model.num_columns - num_columns
    window = {
        "signal": np.pad(example["signal"], [(0, 0), (0, missing * model.column_samples)]),
        "channel_mask": example["channel_mask"],
        "channel_ids": example["channel_ids"],
        "column_weight": np.pad(weights, (0, missing)).astype(np.float32),
    }
    if missing:
        window["num_valid_columns"] = np.asarray(num_columns, np.int32)
    return window

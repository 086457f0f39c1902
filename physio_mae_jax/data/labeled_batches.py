"""Batches of labeled instances: drawn at random for training, in order for evaluation."""

from collections.abc import Iterator, Sequence

import grain
import numpy as np

from physio_mae_jax.data.instances import Instances
from physio_mae_jax.data.pipeline import (
    InfiniteShuffle,
    LoaderConfig,
    ReadBatch,
    WindowDraw,
    random_batches,
)
from physio_mae_jax.data.prefetch import prefetch
from physio_mae_jax.data.window_transform import Example
from physio_mae_jax.data.windows import WindowReader


class _RandomInstanceCrop:
    """Draws a random window of an instance; all valid starts are equally likely."""

    def __init__(self, reader: WindowReader, instances: Instances, augments: bool) -> None:
        self._reader = reader
        self._instances = instances
        self._augments = augments

    def __call__(self, element: int, rng: np.random.Generator) -> tuple[WindowDraw, int]:
        instances, recording = self._instances, int(self._instances.recording[element])
        if instances.first[element] < 0:
            starts = self._reader.starts(recording)
            start = starts[int(rng.integers(len(starts)))]
        else:
            start = int(rng.integers(instances.first[element], instances.last[element] + 1))
        return WindowDraw.of(recording, start, rng=rng if self._augments else None), element


class _ReadLabeledBatch:
    """Reads and augments the windows of a batch, and adds their targets."""

    def __init__(self, reader: WindowReader, instances: Instances, config: LoaderConfig) -> None:
        self._read = ReadBatch(reader, config.augment)
        self._instances = instances

    def __call__(self, drawn: Sequence[tuple[WindowDraw, int]]) -> Example:
        draws, elements = zip(*drawn, strict=True)
        # No augmentation moves samples in time, so the labels of samples stay where they are.
        windows = [(draw.recording, draw.start) for draw in draws]
        targets = {"target": self._instances.window_targets(elements, windows)}
        if self._instances.auxiliary is not None:
            targets["auxiliary"] = self._instances.auxiliary.values[np.asarray(elements)]
        return self._read(draws) | targets


def labeled_training_batches(
    reader: WindowReader, instances: Instances, config: LoaderConfig, *, balanced: bool
) -> grain.DatasetIterator:
    """Yield an infinite stream of labeled batches; the iterator's state can be checkpointed.

    Args:
        reader: Reader of the windows.
        instances: Training instances.
        config: Batch size, seed and augmentation.
        balanced: Whether to use class-balanced sampling: instances of rarer classes are repeated
            (according to the rarest class of a multi-label instance).

    Yields:
        Entries of ``WindowReader.read`` and 'target', see ``Instances.window_targets``, with a
        leading axis; 'auxiliary' [B, A] if the instances have ``auxiliary`` targets.
    """
    slots = np.repeat(
        np.arange(len(instances)), balancing_repeats(instances.targets) if balanced else 1
    )
    return random_batches(
        InfiniteShuffle(slots, config.seed),
        config,
        _RandomInstanceCrop(reader, instances, not config.augment.is_off),
        _ReadLabeledBatch(reader, instances, config),
    )


def balancing_repeats(targets: np.ndarray, max_repeats: int = 20) -> np.ndarray:
    """Return the repetitions [U] that make the classes of targets [U, Y] about equally frequent.

    An instance is repeated according to its rarest class, at most ``max_repeats`` times.
    """
    count = (targets > 0).sum(axis=0)
    class_repeats = count.max() / np.maximum(count, 1)
    ideal_repeats = np.where(targets > 0, class_repeats, 1.0).max(axis=1)
    return np.clip(np.round(ideal_repeats), 1, max_repeats).astype(int)


def evaluation_batches(
    reader: WindowReader, instances: Instances, batch_size: int, num_threads: int
) -> Iterator[tuple[dict[str, np.ndarray], int]]:
    """Read the evaluation windows of instances, in order.

    Yields:
        Entries of ``WindowReader.read`` with a leading axis of ``batch_size``, and the number of
        actual windows; the last batch is padded with copies.
    """
    windows_to_read = list(
        zip(instances.recording[instances.window_instance], instances.window_start, strict=True)
    )

    def read(batch: Sequence[tuple[np.int64, np.int64]]) -> dict[str, np.ndarray]:
        windows = [(int(recording), int(start), 1.0) for recording, start in batch]
        return reader.read_batch(windows + [windows[-1]] * (batch_size - len(windows)))

    batches = [
        windows_to_read[i : i + batch_size] for i in range(0, len(windows_to_read), batch_size)
    ]
    for batch, entries in prefetch(read, batches, num_threads):
        yield entries, len(batch)

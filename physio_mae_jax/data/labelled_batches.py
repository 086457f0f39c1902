"""From labelled units to batches: drawn at random to train on, in order to judge."""

from collections.abc import Iterator, Sequence
from typing import Any

import grain
import numpy as np

from physio_mae_jax.data.instances import Units
from physio_mae_jax.data.pipeline import InfiniteShuffle, LoaderConfig, disturbed, stack
from physio_mae_jax.data.prefetch import read_ahead
from physio_mae_jax.data.windows import Example, WindowReader


class _RandomUnitWindow(grain.transforms.RandomMap):
    """Reads a window that shows a unit; every start that does is equally likely."""

    def __init__(self, reader: WindowReader, units: Units, config: LoaderConfig) -> None:
        self._reader = reader
        self._units = units
        self._config = config

    def random_map(self, element: int, rng: np.random.Generator) -> Example:
        units, recording = self._units, int(self._units.recording[element])
        if units.first[element] < 0:
            starts = self._reader.starts(recording)
            start = starts[int(rng.integers(len(starts)))]
        else:
            start = int(rng.integers(units.first[element], units.last[element] + 1))
        window = self._reader.read(recording, start)
        window = disturbed(window, self._config.augment, self._reader.config.sampling_rate_hz, rng)
        return window | {"target": units.targets[element]}


def labelled_training_batches(
    reader: WindowReader, units: Units, config: LoaderConfig, *, balanced: bool
) -> grain.DatasetIterator:
    """Yield batches of windows of units without end; the iterator's state can be checkpointed.

    Args:
        reader: of the windows.
        units: to train on.
        config: size, seed and disturbances.
        balanced: repeat the units of rarer classes until all classes come up alike (by the rarest
            class of a unit where it has several).

    Yields:
        Entries of ``WindowReader.read`` and 'target' [K] float32, with a leading axis.
    """
    slots = np.repeat(np.arange(len(units)), repeats(units.targets) if balanced else 1)
    dataset = (
        grain.MapDataset.source(InfiniteShuffle(slots, config.seed))
        .seed(config.seed)
        .random_map(_RandomUnitWindow(reader, units, config))
        .batch(config.local_batch_size, drop_remainder=True)
    )[config.process_index :: config.process_count]
    options = grain.ReadOptions(num_threads=config.num_threads, prefetch_buffer_size=16)
    return iter(dataset.to_iter_dataset(options))


def repeats(targets: np.ndarray, most: int = 20) -> np.ndarray:
    """Return how often each unit [U, K] is repeated so that the classes come up about alike.

    A unit is repeated by the rarest of its classes, ``most`` times at most.
    """
    count = (targets > 0).sum(axis=0)
    need = count.max() / np.maximum(count, 1)
    wanted = np.where(targets > 0, need, 1.0).max(axis=1)
    return np.clip(np.round(wanted), 1, most).astype(int)


def evaluation_batches(
    reader: WindowReader, units: Units, batch_size: int, num_threads: int
) -> Iterator[tuple[dict[str, np.ndarray], int]]:
    """Read the windows that units are judged by, in order.

    Yields:
        Entries of ``WindowReader.read`` with a leading axis of ``batch_size``, the last batch being
        filled up by copies; how many of them are no copies.
    """
    places = list(zip(units.recording[units.window_unit], units.window_start, strict=True))

    def read(batch: Sequence[tuple[Any, Any]]) -> dict[str, np.ndarray]:
        windows = [reader.read(int(recording), int(start)) for recording, start in batch]
        return stack(windows + [windows[-1]] * (batch_size - len(windows)))

    batches = [places[i : i + batch_size] for i in range(0, len(places), batch_size)]
    for batch, entries in read_ahead(read, batches, num_threads):
        yield entries, len(batch)

"""From recordings to batches: Grain for training, a fixed list for validation."""

import dataclasses
from collections.abc import Mapping, Sequence

import grain
import numpy as np

from physio_mae_jax.data.windows import Example, WindowReader
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.signals.augment import AugmentConfig, augment


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoaderConfig:
    """How batches are made.

    Attributes:
        batch_size: examples a step, over all processes.
        seed: of order and crops.
        num_threads: threads that read ahead in each process.
        speed_perturbation: (slowest, fastest) playback of recordings in training, in steps of
            0.05 and all channels of a window alike; 1 is as recorded. Varies the heart rate.
        augment: disturbances in training.
        set_weights: how often windows of each data set come up, relative to each other; without
            any, a data set comes up as its share of the recorded time.
        process_index, process_count: which share of each batch this process makes.
    """

    batch_size: int
    seed: int
    num_threads: int = 8
    speed_perturbation: tuple[float, float] = (1.0, 1.0)
    augment: AugmentConfig = dataclasses.field(default_factory=AugmentConfig)
    set_weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    process_index: int = 0
    process_count: int = 1

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.batch_size % self.process_count:
            raise ConfigError(
                f"batch_size is {self.batch_size}; it must be a positive multiple of the "
                f"{self.process_count} processes."
            )
        if not 0.25 <= self.speed_perturbation[0] <= 1 <= self.speed_perturbation[1] <= 4:
            raise ConfigError(
                f"data.speed_perturbation is {self.speed_perturbation}; it must be (slowest, "
                "fastest) with 0.25 ≤ slowest ≤ 1 ≤ fastest ≤ 4."
            )

    @property
    def local_batch_size(self) -> int:
        """Examples a step that this process makes."""
        return self.batch_size // self.process_count


_TEMPO_STEP = 0.05
_EPOCHS = 2**31  # more than anybody trains
_ORDERS_KEPT = 3


class InfiniteShuffle:
    """One entry for each window's length of recording, in another order in each epoch.

    Not ``grain``'s shuffle, which takes a millisecond for each index of a small data set.
    """

    def __init__(self, slots: np.ndarray, seed: int) -> None:
        self._slots = slots
        self._seed = seed
        self._orders: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self._slots) * _EPOCHS

    def __getitem__(self, index: int) -> int:
        epoch, place = divmod(index, len(self._slots))
        return int(self._slots[self._order(epoch)[place]])

    def _order(self, epoch: int) -> np.ndarray:
        order = self._orders.get(epoch)
        if order is None:
            order = np.random.default_rng((self._seed, epoch)).permutation(len(self._slots))
            # Threads read ahead, of small data sets in several epochs at once; they may ask in any
            # order and replace what others have kept, so an order that is gone is made again.
            self._orders = dict([*self._orders.items(), (epoch, order)][-_ORDERS_KEPT:])
        return order


class _RandomCrop(grain.transforms.RandomMap):
    """Reads a window at a random tempo and start; every one is equally likely."""

    def __init__(self, reader: WindowReader, config: LoaderConfig) -> None:
        self._reader = reader
        self._augment = config.augment
        steps = [round(bound / _TEMPO_STEP) for bound in config.speed_perturbation]
        self._tempos = np.arange(steps[0], steps[1] + 1) * _TEMPO_STEP

    def random_map(self, element: int, rng: np.random.Generator) -> Example:
        tempo = float(rng.choice(self._tempos)) if len(self._tempos) > 1 else 1.0
        starts = self._reader.starts(element, tempo)
        window = self._reader.read(element, starts[int(rng.integers(len(starts)))], tempo)
        return disturbed(window, self._augment, self._reader.config.sampling_rate_hz, rng)


def disturbed(
    window: Example, config: AugmentConfig, sampling_rate_hz: float, rng: np.random.Generator
) -> Example:
    """Add the disturbances of training to a window of ``WindowReader.read``."""
    if config.is_off:
        return window
    signal, present = augment(
        window["signal"], window["channel_mask"], sampling_rate_hz, config, rng
    )
    return window | {"signal": signal, "channel_mask": present}


def training_batches(
    reader: WindowReader, recordings: Sequence[int], config: LoaderConfig
) -> grain.DatasetIterator:
    """Yield batches of random windows without end; the iterator's state can be checkpointed.

    The order is one shuffle over all processes, and of each batch process p makes the p-th part,
    so a batch holds the same examples at the same places however many processes make it.

    Yields:
        Entries of ``WindowReader.read`` with a leading axis of ``local_batch_size``.
    """
    dataset = (
        _shuffled_recordings(reader, recordings, config)
        .random_map(_RandomCrop(reader, config))
        .batch(config.local_batch_size, drop_remainder=True)
    )[config.process_index :: config.process_count]
    options = grain.ReadOptions(num_threads=config.num_threads, prefetch_buffer_size=16)
    return iter(dataset.to_iter_dataset(options))


def _shuffled_recordings(
    reader: WindowReader, recordings: Sequence[int], config: LoaderConfig
) -> grain.MapDataset:
    """Name a recording for each window, without end; long recordings come up more often."""

    def endless(some: Sequence[int]) -> grain.MapDataset:
        counts = [len(reader.starts(r).end_to_end(reader.config.num_samples)) for r in some]
        slots = np.repeat(np.asarray(some, np.int64), counts)
        return grain.MapDataset.source(InfiniteShuffle(slots, config.seed))

    if not config.set_weights:
        return endless(recordings).seed(config.seed)
    by_set: dict[str, list[int]] = {}
    for recording in recordings:
        by_set.setdefault(reader.source.recordings[recording].data_set, []).append(recording)
    mixed = grain.MapDataset.mix(
        [endless(some) for some in by_set.values()],
        weights=[config.set_weights[name] for name in by_set],
    )
    return mixed.seed(config.seed)


def validation_batches(
    reader: WindowReader, recordings: Sequence[int], config: LoaderConfig, max_windows: int
) -> list[Example]:
    """Read the held-out windows, the same ones every time.

    Args:
        reader: of the source.
        recordings: held-out recordings.
        config: batch size and the share of this process.
        max_windows: at most so many, spread evenly over all windows end to end.

    Returns:
        Batches as in training plus 'weight' [B] float32: 0 on the copies that fill the last one,
        so that every process has as many batches.
    """
    length = reader.config.num_samples
    places = [(r, start) for r in recordings for start in reader.starts(r).end_to_end(length)]
    chosen = np.unique(np.linspace(0, len(places) - 1, min(max_windows, len(places))).astype(int))
    # Drawn in a seeded order, so that a batch mixes subjects.
    chosen = np.random.default_rng(config.seed).permutation(chosen)
    num_batches = -(-len(chosen) // config.batch_size)
    padded = np.resize(chosen, num_batches * config.batch_size)
    weight = (np.arange(len(padded)) < len(chosen)).astype(np.float32)
    size = config.local_batch_size
    firsts = range(config.process_index * size, len(padded), config.batch_size)
    return [
        stack([reader.read(*places[padded[i]]) | {"weight": weight[i]} for i in range(f, f + size)])
        for f in firsts
    ]


def stack(examples: Sequence[Example]) -> Example:
    """Stack the entries of windows on a leading axis."""
    return {name: np.stack([example[name] for example in examples]) for name in examples[0]}

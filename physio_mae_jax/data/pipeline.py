"""From recordings to batches: Grain for training, a fixed list for validation."""

import dataclasses
from collections.abc import Mapping, Sequence

import grain
import numpy as np

from physio_mae_jax.data.window_transform import Example
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.signals.augment import AugmentConfig, augment


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoaderConfig:
    """Batch size, sampling and augmentation.

    Attributes:
        batch_size: Examples per step over all processes.
        seed: Seed of example order and crops.
        num_threads: Number of prefetching threads per process.
        speed_perturbation: (slowest, fastest) playback speed factors in training, in steps of 0.05
            and equal for all channels of a window; 1 is as recorded. Varies the heart rate.
        augment: Augmentation of training windows.
        set_weights: Data set -> relative sampling frequency; if empty, data sets are sampled in
            proportion to their recorded time.
        process_index, process_count: Index of this process and number of processes, which select
            its partition of each batch.
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
                f"batch_size must be a positive multiple of the {self.process_count} processes; "
                f"got {self.batch_size}."
            )
        if not 0.25 <= self.speed_perturbation[0] <= 1 <= self.speed_perturbation[1] <= 4:
            raise ConfigError(
                "data.speed_perturbation must be (slowest, fastest) with 0.25 ≤ slowest ≤ 1 ≤ "
                f"fastest ≤ 4; got {self.speed_perturbation}."
            )

    @property
    def local_batch_size(self) -> int:
        """Examples per step of this process."""
        return self.batch_size // self.process_count


_SPEED_STEP = 0.05
_EPOCHS = 2**31  # more than any training run needs
_MAX_CACHED_ORDERS = 3


class InfiniteShuffle:
    """Endless sequence of slots, reshuffled in each epoch.

    Replaces ``grain``'s shuffle, which takes a millisecond per index of a small data set.
    """

    def __init__(self, slots: np.ndarray, seed: int) -> None:
        self._slots = slots
        self._seed = seed
        self._orders: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self._slots) * _EPOCHS

    def __getitem__(self, index: int) -> int:
        epoch, position = divmod(index, len(self._slots))
        return int(self._slots[self._order(epoch)[position]])

    def _order(self, epoch: int) -> np.ndarray:
        order = self._orders.get(epoch)
        if order is None:
            order = np.random.default_rng((self._seed, epoch)).permutation(len(self._slots))
            # Threads read ahead, on small data sets over several epochs at once; they may access
            # epochs in any order and evict those of others, so a missing order is recomputed.
            self._orders = dict([*self._orders.items(), (epoch, order)][-_MAX_CACHED_ORDERS:])
        return order


class _RandomCrop(grain.transforms.RandomMap):
    """Reads a window at a uniformly random tempo and start."""

    def __init__(self, reader: WindowReader, config: LoaderConfig) -> None:
        self._reader = reader
        self._augment = config.augment
        steps = [round(bound / _SPEED_STEP) for bound in config.speed_perturbation]
        self._speeds = np.arange(steps[0], steps[1] + 1) * _SPEED_STEP

    def random_map(self, element: int, rng: np.random.Generator) -> Example:
        speed = float(rng.choice(self._speeds)) if len(self._speeds) > 1 else 1.0
        starts = self._reader.starts(element, speed)
        window = self._reader.read(element, starts[int(rng.integers(len(starts)))], speed)
        return augment_window(window, self._augment, self._reader.config.sampling_rate_hz, rng)


def augment_window(
    window: Example, config: AugmentConfig, sampling_rate_hz: float, rng: np.random.Generator
) -> Example:
    """Augment a window of ``WindowReader.read`` for training."""
    if config.is_off:
        return window
    signal, present = augment(
        window["signal"], window["channel_mask"], sampling_rate_hz, config, rng
    )
    return window | {"signal": signal, "channel_mask": present}


def training_batches(
    reader: WindowReader, recordings: Sequence[int], config: LoaderConfig
) -> grain.DatasetIterator:
    """Yield an infinite stream of random windows; the iterator's state can be checkpointed.

    All processes use the same shuffled order, and process p reads part p of each batch, so a batch
    has the same examples at the same positions for any number of processes.

    Yields:
        Entries of ``WindowReader.read`` with a leading axis of ``local_batch_size``.
    """
    dataset = (
        _shuffle_recordings(reader, recordings, config)
        .random_map(_RandomCrop(reader, config))
        .batch(config.local_batch_size, drop_remainder=True)
    )[config.process_index :: config.process_count]
    options = grain.ReadOptions(num_threads=config.num_threads, prefetch_buffer_size=16)
    return iter(dataset.to_iter_dataset(options))


def _shuffle_recordings(
    reader: WindowReader, recordings: Sequence[int], config: LoaderConfig
) -> grain.MapDataset:
    """Return an infinite sequence of recording indices, in proportion to recording length."""

    def sample_forever(subset: Sequence[int]) -> grain.MapDataset:
        counts = [len(reader.starts(r).end_to_end(reader.config.num_samples)) for r in subset]
        slots = np.repeat(np.asarray(subset, np.int64), counts)
        return grain.MapDataset.source(InfiniteShuffle(slots, config.seed))

    if not config.set_weights:
        return sample_forever(recordings).seed(config.seed)
    by_set: dict[str, list[int]] = {}
    for recording in recordings:
        by_set.setdefault(reader.source.recordings[recording].data_set, []).append(recording)
    mixed = grain.MapDataset.mix(
        [sample_forever(subset) for subset in by_set.values()],
        weights=[config.set_weights[name] for name in by_set],
    )
    return mixed.seed(config.seed)


def validation_batches(
    reader: WindowReader, recordings: Sequence[int], config: LoaderConfig, max_windows: int
) -> list[Example]:
    """Read the validation windows, which are the same in every call.

    Args:
        reader: Window reader of the source.
        recordings: Indices of validation recordings.
        config: Batch size, seed, and process index and count.
        max_windows: Maximum number of windows, spread evenly over all contiguous windows.

    Returns:
        Batches as in training plus 'weight' [B] float32: 0 for copies that pad the last
        batch, so that all processes have the same number of batches.
    """
    length = reader.config.num_samples
    starts = [(r, start) for r in recordings for start in reader.starts(r).end_to_end(length)]
    chosen = np.unique(np.linspace(0, len(starts) - 1, min(max_windows, len(starts))).astype(int))
    # Shuffled, so that a batch contains several subjects.
    chosen = np.random.default_rng(config.seed).permutation(chosen)
    num_batches = -(-len(chosen) // config.batch_size)
    padded = np.resize(chosen, num_batches * config.batch_size)
    weight = (np.arange(len(padded)) < len(chosen)).astype(np.float32)
    size = config.local_batch_size
    firsts = range(config.process_index * size, len(padded), config.batch_size)
    return [
        stack_windows(
            [reader.read(*starts[padded[i]]) | {"weight": weight[i]} for i in range(f, f + size)]
        )
        for f in firsts
    ]


def stack_windows(examples: Sequence[Example]) -> Example:
    """Stack the entries of windows on a leading axis."""
    return {name: np.stack([example[name] for example in examples]) for name in examples[0]}

"""From recordings to batches: Grain for training, a fixed list for validation."""

import copy
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

import grain
import numpy as np

from physio_mae_jax.data.batch_memory import BatchMemory
from physio_mae_jax.data.element_random import element_generators
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
            proportion to their recorded time to the power 1 / ``sampling_temperature``.
        sampling_temperature: 1 samples every hour equally often; a higher temperature samples small
            data sets more often, infinity all data sets equally.
        windows_per_recording: Adjacent windows of a batch that are of the same recording. More than
            1 gives a contrastive loss with ``same_subject_negatives`` harder negatives.
        process_index, process_count: Index of this process and number of processes, which select
            its partition of each batch.
    """

    batch_size: int
    seed: int
    num_threads: int = 8
    speed_perturbation: tuple[float, float] = (1.0, 1.0)
    augment: AugmentConfig = dataclasses.field(default_factory=AugmentConfig)
    set_weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    sampling_temperature: float = 1.0
    windows_per_recording: int = 1
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

        if self.windows_per_recording < 1 or self.local_batch_size % self.windows_per_recording:
            raise ConfigError(
                f"data.windows_per_recording={self.windows_per_recording} does not divide "
                f"the {self.local_batch_size} windows of a batch that a process reads; choose a "
                "divisor."
            )

    @property
    def local_batch_size(self) -> int:
        """Examples per step of this process."""
        return self.batch_size // self.process_count


_SPEED_STEP = 0.05
_EPOCHS = 2**31  # more than any training run needs
_MAX_CACHED_ORDERS = 3
_MAX_CACHED_STARTS = 65_536


class Elements(Protocol):
    """Endless sequence of indices."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> int: ...


_Drawn = TypeVar("_Drawn")


class _Repeated:
    """A sequence with each of its elements several times in succession."""

    def __init__(self, elements: Elements, times: int) -> None:
        self._elements, self._times = elements, times

    def __len__(self) -> int:
        return len(self._elements) * self._times

    def __getitem__(self, index: int) -> int:
        return int(self._elements[index // self._times])


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


class WindowDraw(NamedTuple):
    """A window to read: its recording, start and tempo, and the generator that augments it."""

    recording: int
    start: int
    tempo: float
    rng: np.random.Generator | None

    @classmethod
    def of(
        cls, recording: int, start: int, tempo: float = 1.0, *, rng: np.random.Generator | None
    ) -> "WindowDraw":
        """Keep a copy of the generator, which the next element uses again."""
        return cls(recording, start, tempo, rng and copy.deepcopy(rng))


class ReadBatch:
    """Reads the windows of a batch, and augments them."""

    def __init__(self, reader: WindowReader, augment: AugmentConfig) -> None:
        self._reader = reader
        self._augment = augment
        self._memory = BatchMemory()

    def __call__(self, draws: Sequence[WindowDraw]) -> Example:
        batch = self._reader.read_batch([draw[:3] for draw in draws], self._memory)
        for index, draw in enumerate(draws):
            if draw.rng is not None:
                batch["signal"][index], batch["channel_mask"][index] = augment(
                    batch["signal"][index],
                    batch["channel_mask"][index],
                    self._reader.config.sampling_rate_hz,
                    self._augment,
                    draw.rng,
                )
        return batch


class _RandomCrop:
    """Draws a window of a recording at a uniformly random tempo and start."""

    def __init__(self, reader: WindowReader, config: LoaderConfig) -> None:
        self._starts = functools.lru_cache(maxsize=_MAX_CACHED_STARTS)(reader.starts)
        self._augments = not config.augment.is_off
        steps = [round(bound / _SPEED_STEP) for bound in config.speed_perturbation]
        self._speeds = np.arange(steps[0], steps[1] + 1) * _SPEED_STEP

    def __call__(self, recording: int, rng: np.random.Generator) -> WindowDraw:
        speed = 1.0
        if len(self._speeds) > 1:  # what ``rng.choice`` draws, in a tenth of its time
            speed = float(self._speeds[rng.integers(len(self._speeds))])
        starts = self._starts(recording, speed)
        start = starts[int(rng.integers(len(starts)))]
        return WindowDraw.of(recording, start, speed, rng=rng if self._augments else None)


class _Batches(Generic[_Drawn]):
    """Random-access sequence of the batches of a stream; see ``random_batches``."""

    def __init__(
        self,
        elements: Elements,
        config: LoaderConfig,
        draw: Callable[[int, np.random.Generator], _Drawn],
        read: Callable[[Sequence[_Drawn]], Example],
    ) -> None:
        self._elements = elements
        self._seed, self._size = config.seed, config.local_batch_size
        self._draw, self._read = draw, read

    def __len__(self) -> int:
        return len(self._elements) // self._size

    def __getitem__(self, index: int) -> Example:
        numbers = range(index * self._size, (index + 1) * self._size)
        generators = element_generators(self._seed, numbers)
        drawn = [
            self._draw(self._elements[n], rng) for n, rng in zip(numbers, generators, strict=True)
        ]
        return self._read(drawn)


def random_batches(
    elements: Elements,
    config: LoaderConfig,
    draw: Callable[[int, np.random.Generator], _Drawn],
    read: Callable[[Sequence[_Drawn]], Example],
) -> grain.DatasetIterator:
    """Yield an infinite stream of random batches; the iterator's state can be checkpointed.

    All processes use the same elements, and process p reads part p of each batch, so a batch has
    the same examples at the same positions for any number of processes. Whole batches are drawn and
    read at once, since calls for each window would take longer than their arithmetic.

    Args:
        elements: Endless shuffled sequence of indices.
        config: Batch size, seed, threads, process index and count.
        draw: Draws an example of an element by the element's own generator.
        read: Reads the examples of a batch.
    """
    batches = grain.MapDataset.source(_Batches(elements, config, draw, read))
    options = grain.ReadOptions(num_threads=config.num_threads, prefetch_buffer_size=16)
    return iter(batches[config.process_index :: config.process_count].to_iter_dataset(options))


def training_batches(
    reader: WindowReader, recordings: Sequence[int], config: LoaderConfig
) -> grain.DatasetIterator:
    """Yield an infinite stream of random windows; see ``random_batches``.

    Yields:
        Entries of ``WindowReader.read`` with a leading axis of ``local_batch_size``.
    """
    elements = _shuffle_recordings(reader, recordings, config)
    if config.windows_per_recording > 1:
        elements = _Repeated(elements, config.windows_per_recording)
    return random_batches(
        elements, config, _RandomCrop(reader, config), ReadBatch(reader, config.augment)
    )


def _shuffle_recordings(
    reader: WindowReader, recordings: Sequence[int], config: LoaderConfig
) -> Elements:
    """Return an endless sequence of recording indices, in proportion to recording length.

    With weights or a temperature this holds within each data set.
    """

    def sample_forever(subset: Sequence[int]) -> InfiniteShuffle:
        counts = [len(reader.starts(r).end_to_end(reader.config.num_samples)) for r in subset]
        return InfiniteShuffle(np.repeat(np.asarray(subset, np.int64), counts), config.seed)

    if not config.set_weights and config.sampling_temperature == 1:
        return sample_forever(recordings)
    by_set: dict[str, list[int]] = {}
    for recording in recordings:
        by_set.setdefault(reader.source.recordings[recording].data_set, []).append(recording)
    shuffled = {name: sample_forever(subset) for name, subset in by_set.items()}
    weights = config.set_weights or {
        name: float(len(windows)) ** (1 / config.sampling_temperature)
        for name, windows in shuffled.items()
    }
    return grain.MapDataset.mix(
        [grain.MapDataset.source(windows) for windows in shuffled.values()],
        weights=[weights[name] for name in shuffled],
    )


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
        reader.read_batch([(*starts[padded[i]], 1.0) for i in range(f, f + size)])
        | {"weight": weight[f : f + size]}
        for f in firsts
    ]

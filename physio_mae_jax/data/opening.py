"""Opening data: from data set names to readable windows, checked and split by subject."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from physio_mae_jax.data import unclear
from physio_mae_jax.data.channel_plan import ChannelPlan, ChannelPlanner, common_units
from physio_mae_jax.data.input_spec import InputSpec, conversion_notes
from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.data.sample_cache import SampleCache
from physio_mae_jax.data.sets import ConcatSource, open_set, parse_weighted_sets
from physio_mae_jax.data.source import SignalSource
from physio_mae_jax.data.splits import SPLITS, SubjectSplits, make_split
from physio_mae_jax.data.synthetic import CohortConfig
from physio_mae_jax.data.unclear import warn_about_names, warn_about_units
from physio_mae_jax.data.validation import check_recordings
from physio_mae_jax.data.window_transform import WindowConfig
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.printable import Lines
from physio_mae_jax.setting_ranges import check_fields
from physio_mae_jax.signals.augment import AugmentConfig

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which recordings are used, and how they are split and loaded.

    Attributes:
        sets: Names of data sets, see ``data.sets``.
        root: Folder of prepared data sets.
        path, manifest: Folder and manifest of the data set 'folder'.
        raw_manifests: Data set name -> manifest, for sets read unprepared under ``root``.
        channels: Preset ('12_lead', 'ecg_ppg', 'ppg_only', 'ecg_only', 'default_5ch'),
            comma-separated names, or '' for all channels of each recording.
        missing_channels: 'error' rejects recordings that lack a named channel; 'mask' masks it.
        on_invalid: 'error' raises for an unusable recording; 'skip' excludes and reports it.
        band_hz: (low, high) in Hz of the band-pass before normalization; (0, 0) for none.
        split_rule: Rule or file that divides the subjects, see ``data.splits``.
        split_seed: Seed of the random draws of the rule.
        max_validation_windows: Maximum number of validation windows during training.
        num_threads: Number of threads that read ahead.
        speed_perturbation: (slowest, fastest), see ``data.pipeline.LoaderConfig``.
        augment: Augmentation of training windows.
        cohort: Settings of the data set 'synthetic'.
        sampling_temperature: See ``data.pipeline.LoaderConfig``; 1 with weights in ``sets``.
        windows_per_recording: See ``data.pipeline.LoaderConfig``.
        cache_mib: Memory limit in MiB for decoded samples of prepared sets and folders, per
            process.
    """

    sets: str
    root: str
    path: str
    manifest: str
    raw_manifests: Mapping[str, str]
    channels: str
    missing_channels: str
    on_invalid: str
    band_hz: tuple[float, float]
    split_rule: str
    split_seed: int
    max_validation_windows: int
    num_threads: int
    speed_perturbation: tuple[float, float]
    augment: AugmentConfig
    cohort: CohortConfig
    # Defaults for runs older than these settings.
    cache_mib: int = 1024
    sampling_temperature: float = 1.0
    windows_per_recording: int = 1

    def __post_init__(self) -> None:
        check_fields(self, "data")
        weighted = any(item.weight is not None for item in parse_weighted_sets(self.sets))
        if weighted and self.sampling_temperature != 1:
            raise ConfigError(
                f"data.sets={self.sets!r} gives weights, and data.sampling_temperature="
                f"{self.sampling_temperature:g} would change them; omit the weights, or set the "
                "temperature to 1."
            )
        if "folder" in self.set_names and not self.path:
            raise ConfigError("data.path is empty; name a folder with --config.data.path=DIR.")

    @property
    def set_names(self) -> tuple[str, ...]:
        """Names of the data sets, with their variants."""
        return tuple(name.name for name in parse_weighted_sets(self.sets))


class DatasetBundle(NamedTuple):
    """Readable recordings, the indices of each split, and the model's input.

    Attributes:
        source: Source of all usable recordings.
        reader: Reader of their windows.
        splits: Recording indices of 'train', 'validation' and 'test'.
        subject_splits: Subjects of each split.
        input_spec: Input of the model.
        set_weights: Data set -> sampling weight in training; empty for proportional sampling.
        content_hashes: Prepared data set -> content hash.
    """

    source: ConcatSource
    reader: WindowReader
    splits: dict[str, list[int]]
    subject_splits: SubjectSplits
    input_spec: InputSpec
    set_weights: dict[str, float]
    content_hashes: dict[str, str]


def open_data(
    data: DataConfig, sampling_rate_hz: float, num_samples: int, *, progress: bool
) -> DatasetBundle:
    """Open all data sets, check their recordings, and divide them by subject.

    Args:
        data: Data settings.
        sampling_rate_hz, num_samples: Rate in Hz and length in samples of the model's windows.
        progress: Whether to show progress bars on stderr, if that is a terminal.

    Raises:
        UserError: a data set is missing or damaged, a recording is unusable under
            ``on_invalid='error'``, or the split cannot be made.
    """
    planner, cache = ChannelPlanner(data.channels), SampleCache(data.cache_mib * 2**20)
    seconds = num_samples / sampling_rate_hz
    sources, indices, weights = [], [], {}
    for item in parse_weighted_sets(data.sets):
        source = _open(item.name, data, cache)
        usable, report = check_recordings(
            source,
            min_seconds=seconds * data.speed_perturbation[1],
            planner=planner,
            missing_channels=data.missing_channels,
            on_invalid=data.on_invalid,
            progress=progress,
        )
        level = logging.WARNING if report.problems else logging.INFO
        _LOG.log(level, "%s: %s", item.name, Lines(report.summary()))
        sources.append(source)
        indices.append(usable)
        if item.weight is not None:
            weights[source.recordings[0].data_set] = item.weight
    joined = ConcatSource(sources, indices, cache)
    units = common_units(joined.recordings)
    planner = ChannelPlanner(data.channels, units)
    plans = [planner.plan(info) for info in joined.recordings]
    window = WindowConfig(
        channels=data.channels,
        num_channels=max(len(plan.channels) for plan in plans),
        units=units,
        sampling_rate_hz=sampling_rate_hz,
        num_samples=num_samples,
        band_hz=data.band_hz if any(data.band_hz) else None,
    )
    for note in conversion_notes(joined.recordings, plans, window):
        _LOG.info("%s", note)
    _warn_about_prepared(joined, plans)
    all_indices = range(len(joined.recordings))
    split = make_split(joined.recordings, all_indices, data.split_rule, data.split_seed)
    splits = split.divide(joined.recordings, all_indices)
    channels = tuple(dict.fromkeys(name for plan in plans for name in plan.channels))
    input_spec = InputSpec.from_window(window, channels, _filters(sources))
    _log_splits(splits, channels, split)
    return DatasetBundle(
        joined, WindowReader(joined, window), splits, split, input_spec, weights, _hashes(sources)
    )


def _warn_about_prepared(joined: ConcatSource, plans: Sequence[ChannelPlan]) -> None:
    """Warn of unclear channels of prepared sets; folders are checked when opened."""
    rows: dict[str, list[tuple[str, Sequence[str], Sequence[str]]]] = {}
    for index, (info, plan) in enumerate(zip(joined.recordings, plans, strict=True)):
        if isinstance(joined.origin(index)[0], PreparedSource):
            used = [row for row in plan.montage.sources if row < len(info.units)]
            names = [info.channel_names[row] for row in used]
            units = [info.units[row] for row in used]
            rows.setdefault(info.data_set, []).append((info.record_id, names, units))
    for data_set, recordings in rows.items():
        warn_about_names(data_set, (names for _, names, _ in recordings))
        warn_about_units(data_set, recordings)


def reject_duplicate_channels(bundle: DatasetBundle, num_names: int) -> None:
    """Reject recordings with channels that a model cannot distinguish, see ``unclear``.

    Args:
        opened: Input data of the model.
        num_names: Number of channel names with an embedding in the model.
    """
    all_indices = range(len(bundle.source.recordings))
    plans = {
        id(plan): (index, plan) for index in all_indices if (plan := bundle.reader.plan(index))
    }
    unclear.reject_duplicate_channels(
        (
            (bundle.source.recordings[index].record_id, *plan.present)
            for index, plan in plans.values()
        ),
        num_names,
    )


def _open(name: str, data: DataConfig, cache: SampleCache) -> SignalSource:
    return open_set(
        name,
        root=data.root,
        folder=data.path,
        manifest=data.manifest,
        raw_manifests=data.raw_manifests,
        cohort=data.cohort,
        skip_unreadable=data.on_invalid == "skip",
        cache=cache,
        channels=data.channels,
    )


def _filters(sources: Sequence[SignalSource]) -> dict[str, str]:
    """Return the filters applied at the source of each data set, if known."""
    found = {}
    for source in sources:
        name = source.recordings[0].data_set
        found[name] = source.metadata.filters if isinstance(source, PreparedSource) else "not known"
    return found


def _hashes(sources: Sequence[SignalSource]) -> dict[str, str]:
    """Return the content hash of each prepared data set."""
    return {
        source.metadata.name: source.metadata.content_hash
        for source in sources
        if isinstance(source, PreparedSource)
    }


def _log_splits(
    splits: Mapping[str, Sequence[int]], channels: Sequence[str], assigned: SubjectSplits
) -> None:
    sizes = ", ".join(
        f"{split} {len(splits[split])} recordings of {len(assigned.subjects[split])} subjects"
        for split in SPLITS
        if splits[split]
    )
    _LOG.info("split %s: %s; channels %s", assigned.hash, sizes, ", ".join(channels))


def require_split(bundle: DatasetBundle, split: str, data: DataConfig) -> list[int]:
    """Return the recordings of a split.

    Raises:
        ConfigError: the split is empty.
    """
    if not bundle.splits[split]:
        raise ConfigError(
            f"data.split_rule={data.split_rule!r} leaves no recordings for {split}; see the rules "
            f"in {Path(__file__).with_name('splits.py').name}, such as 'random=|0.1|0.1'."
        )
    return bundle.splits[split]

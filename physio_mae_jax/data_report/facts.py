"""Facts about a folder of recordings: what was read, its quality, and what a model would see."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from physio_mae_jax.data.channel_plan import ChannelPlanner, common_units
from physio_mae_jax.data.formats.folder import FolderSource
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.data.splits import SPLITS, make_split
from physio_mae_jax.data.windows import WindowConfig, WindowReader
from physio_mae_jax.errors import UserError
from physio_mae_jax.signals.channels import is_ecg
from physio_mae_jax.signals.quality import Artifact, find_artifacts, heart_rate_bpm

# Samples of a recording that are checked: the first ones, for bounded time and memory.
CHECKED_SECONDS = 600.0
_EXCERPT_SECONDS = 6.0
_MIN_HEART_RATE_SECONDS = 5.0
_MIN_HEART_RATE_HZ = 25.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordingFacts:
    """What a report shows of one recording.

    Attributes:
        info: Description of the recording.
        file: Path of its file.
        artifacts: Findings of ``signals.quality`` in the checked samples.
        heart_rate_bpm: Heart rate of the first ECG or PPG channel; None if there is none.
        excerpt: First samples [M, n] float32, in the units of the recording.
        split: 'train', 'validation' or 'test'; '' if no split can be made.
    """

    info: RecordingInfo
    file: str
    artifacts: Sequence[Artifact]
    heart_rate_bpm: float | None
    excerpt: np.ndarray
    split: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelInput:
    """What a model would receive of the recordings.

    Attributes:
        config: Channels, rate and length of a window.
        channels: Channel names of the example, in the model's order.
        num_windows: Number of non-overlapping windows.
        example: Window of the first recording [M, L] float32, resampled and z-scored; None if no
            recording has one.
        problem: Why no window can be made; '' if one can.
    """

    config: WindowConfig | None
    channels: Sequence[str] = ()
    num_windows: int
    example: np.ndarray | None
    problem: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class FolderFacts:
    """What a report shows of a folder.

    Attributes:
        folder: Path of the folder.
        recordings: Facts of every detailed recording, the first ones of the folder.
        infos: Descriptions of all recordings.
        splits: Subjects of each split.
        split_problem: Why no split can be made; '' if one can.
        model_input: What a model would receive.
    """

    folder: str
    recordings: Sequence[RecordingFacts]
    infos: Sequence[RecordingInfo]
    splits: Mapping[str, Sequence[str]]
    split_problem: str
    model_input: ModelInput


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Settings of a report.

    Attributes:
        channels: Channel names or a preset of ``signals.channels``; '' for all.
        sampling_rate_hz: Sampling rate of the model in Hz.
        window_seconds: Window length of the model in seconds.
        split_rule, split_seed: See ``data.splits``.
        max_recordings: Maximum number of recordings shown in detail.
    """

    channels: str = ""
    sampling_rate_hz: float = 100.0
    window_seconds: float = 10.0
    split_rule: str = "random=|0.1|0.1"
    split_seed: int = 0
    max_recordings: int = 24


def collect_facts(
    source: FolderSource, config: ReportConfig, progress: Callable[[int, int], None]
) -> FolderFacts:
    """Read the first samples of recordings and describe the folder.

    Args:
        source: Open folder.
        config: Settings.
        progress: Called with the number of recordings done and the total.
    """
    infos = source.recordings
    splits, split_problem = _split(infos, config)
    split_of = {key: name for name, keys in splits.items() for key in keys}
    shown = min(len(infos), config.max_recordings)
    recordings = []
    for index in range(shown):
        progress(index, shown)
        recordings.append(_describe(source, index, split_of.get(infos[index].subject_key, "")))
    progress(shown, shown)
    return FolderFacts(
        folder=str(source.folder),
        recordings=recordings,
        infos=infos,
        splits=splits,
        split_problem=split_problem,
        model_input=_model_input(source, config),
    )


def _describe(source: FolderSource, index: int, split: str) -> RecordingFacts:
    """Read the first samples of a recording and check them."""
    info = source.recordings[index]
    checked = min(info.num_samples, round(CHECKED_SECONDS * info.sampling_rate_hz))
    signal = source.read(index, 0, max(1, checked))
    units = info.units or ("",) * len(info.channel_names)
    return RecordingFacts(
        info=info,
        file=source.get_file(index),
        artifacts=find_artifacts(signal, info.channel_names, units, info.sampling_rate_hz),
        heart_rate_bpm=_heart_rate(signal, info),
        excerpt=signal[:, : max(1, round(_EXCERPT_SECONDS * info.sampling_rate_hz))],
        split=split,
    )


def _heart_rate(signal: np.ndarray, info: RecordingInfo) -> float | None:
    """Estimate the heart rate from the first ECG or PPG channel without missing samples."""
    if info.sampling_rate_hz < _MIN_HEART_RATE_HZ:
        return None
    for values, name in zip(signal, info.channel_names, strict=True):
        kind = "ECG" if is_ecg(name) else name
        is_long = len(values) >= _MIN_HEART_RATE_SECONDS * info.sampling_rate_hz
        if kind in ("ECG", "PPG") and is_long and np.isfinite(values).all() and np.ptp(values) > 0:
            return heart_rate_bpm(values.astype(np.float64), kind, info.sampling_rate_hz)
    return None


def _split(
    infos: Sequence[RecordingInfo], config: ReportConfig
) -> tuple[dict[str, Sequence[str]], str]:
    """Divide the subjects; also return why it is not possible, if so."""
    try:
        made = make_split(infos, range(len(infos)), config.split_rule, config.split_seed)
    except UserError as error:
        return {}, str(error)
    return {name: made.subjects[name] for name in SPLITS}, ""


def _model_input(source: FolderSource, config: ReportConfig) -> ModelInput:
    """Plan the channels and read the first window as training does."""
    try:
        units = common_units(source.recordings)
        planner = ChannelPlanner(config.channels, units)
        plans = [planner.plan(info) for info in source.recordings]
        window = WindowConfig(
            channels=config.channels,
            num_channels=max(len(plan.channels) for plan in plans),
            units=units,
            sampling_rate_hz=config.sampling_rate_hz,
            num_samples=round(config.window_seconds * config.sampling_rate_hz),
        )
        reader = WindowReader(source, window, planner)
        starts = [
            len(reader.starts(index).end_to_end(window.num_samples))
            if info.seconds >= config.window_seconds
            else 0
            for index, info in enumerate(source.recordings)
        ]
        first = next((i for i, count in enumerate(starts) if count), None)
        if first is None:
            return ModelInput(
                config=window,
                num_windows=0,
                example=None,
                problem=f"no recording has a window of {config.window_seconds:g} s; shorten it.",
            )
        example = reader.read(first, int(reader.starts(first).end_to_end(window.num_samples)[0]))[
            "signal"
        ]
        return ModelInput(
            config=window,
            channels=plans[first].channels,
            num_windows=sum(starts),
            example=example,
            problem="",
        )
    except UserError as error:
        return ModelInput(config=None, num_windows=0, example=None, problem=str(error))

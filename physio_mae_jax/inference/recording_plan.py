"""The windows to encode of each recording, and what that changes or excludes.

Every recording is planned before any is encoded, so that a wrong name or rate is reported at once.
"""

import dataclasses
import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from physio_mae_jax.data.channel_plan import ChannelPlan, ChannelPlanner, KnownChannels
from physio_mae_jax.data.source import RecordingInfo, SignalSource
from physio_mae_jax.data.window_starts import WindowStarts
from physio_mae_jax.data.window_transform import WindowConfig
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.encoding_config import EncodingConfig
from physio_mae_jax.inference.notes import REJECTED, Note
from physio_mae_jax.inference.plan_notes import notes_of
from physio_mae_jax.inference.tiling import Tiling, tile, tile_regularly
from physio_mae_jax.signals.channel_derivation import ChannelDerivation
from physio_mae_jax.signals.channels import canonical_name, unknown_channel_message

_LOG = logging.getLogger(__name__)
_NO_CHANNELS = ChannelPlan((), np.zeros(0, np.int32), ChannelDerivation(rows=(), notes=()))
# Channel counts that programs are compiled for; other windows are padded to the next one.
_CHANNEL_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelInput:
    """Windows that a model takes.

    Attributes:
        channels: Names of the channels that the model knows.
        window: Rate, length, units and band of a window; of any number of channels.
        column_samples: Samples of a time column.
    """

    channels: tuple[str, ...]
    window: WindowConfig
    column_samples: int

    @property
    def num_columns(self) -> int:
        """Number of columns W of a window."""
        return self.window.num_samples // self.column_samples

    def columns_of(self, info: RecordingInfo) -> int:
        """Count the whole columns of a recording at the model's rate."""
        return self.window.change(info).length_after(info.num_samples) // self.column_samples

    def planner(self, *, derive_leads: bool = False) -> ChannelPlanner:
        """Return the planner of the channels of recordings."""
        return KnownChannels(self.channels, self.window.units, derive=derive_leads)


class RecordingPlan(NamedTuple):
    """The windows of one recording.

    Attributes:
        recording: Index of the recording in its source.
        info: Description of the recording.
        channels: Channels of its windows, without padding.
        rows: Names of the rows of the output: as given, followed by derived ones.
        num_columns: Columns T of the recording, at least 1.
        tiling: Positions of the windows; None if the recording cannot be encoded.
        reader: Reader of the windows; None if the recording cannot be encoded.
    """

    recording: int
    info: RecordingInfo
    channels: ChannelPlan
    rows: tuple[str, ...]
    num_columns: int
    tiling: Tiling | None = None
    reader: WindowReader | None = None


class EncodingPlan(NamedTuple):
    """Recordings ready for encoding.

    Attributes:
        recordings: Plan of every recording, in the order of the source.
        input: Windows of the model.
        notes: Notes for the report.
        on_invalid: Handling of recordings that cannot be encoded, see ``EncodingConfig``.
        by_window: Whether embeddings are of windows, see ``EncodingConfig``.
    """

    recordings: tuple[RecordingPlan, ...]
    input: ModelInput
    notes: tuple[Note, ...]
    on_invalid: str
    by_window: bool


def plan_recordings(
    source: SignalSource, model: ModelInput, config: EncodingConfig, notes: Sequence[Note] = ()
) -> EncodingPlan:
    """Plan the windows of every recording.

    Args:
        source: Recordings with known gaps.
        model: Windows of the model.
        config: Options of the encoding.
        notes: Notes about the recordings so far.

    Raises:
        DataError: A channel is unknown, or ``on_invalid`` is 'error' and a recording has values
            that are not finite or cannot be encoded.
    """
    if config.unknown_channels == "error":
        check_known_channels(source, model.channels)
    planner = model.planner(derive_leads=config.derive_leads)
    readers = _Readers(source, model.window, planner)
    plans, all_notes = [], list(notes)
    for index, info in enumerate(source.recordings):
        columns = max(1, model.columns_of(info))
        plan = RecordingPlan(index, info, _NO_CHANNELS, _rows(info, _NO_CHANNELS), columns)
        try:
            channels = planner.plan(info)
            plan = plan._replace(channels=channels, rows=_rows(info, channels))
            if config.on_invalid == "error":
                _reject_gaps(info, channels)
            plan = _with_windows(plan, model, config, readers)
        except DataError as error:
            if config.on_invalid == "error":
                raise
            all_notes.append(Note(REJECTED, f"whole: {error}", info.record_id))
        if plan.tiling:
            all_notes += notes_of(info, channels, plan.tiling, model.column_samples, model.window)
        plans.append(plan)
    _warn_of_similar_names([plan.channels for plan in plans])
    return EncodingPlan(tuple(plans), model, tuple(all_notes), config.on_invalid, config.by_window)


class _Readers:
    """Readers of a source, one for each shape of windows."""

    def __init__(self, source: SignalSource, window: WindowConfig, planner: ChannelPlanner) -> None:
        self._source, self._window, self._planner = source, window, planner
        self._readers: dict[tuple[int, int], WindowReader] = {}

    def get(self, num_channels: int, num_samples: int) -> WindowReader:
        key = (num_channels, num_samples)
        if key not in self._readers:
            window = dataclasses.replace(
                self._window, num_channels=num_channels, num_samples=num_samples
            )
            self._readers[key] = WindowReader(self._source, window, self._planner)
        return self._readers[key]


def _with_windows(
    plan: RecordingPlan, model: ModelInput, config: EncodingConfig, readers: _Readers
) -> RecordingPlan:
    """Lay windows over a recording; one shorter than a window gets one padded window.

    Raises:
        DataError: No channel is known, the recording is shorter than a column, or no interval
            between its gaps is as long as a window and an embedding is of the recording.
    """
    info, samples = plan.info, model.column_samples
    if not plan.channels.channels:
        raise DataError(
            f"{info.record_id!r} has no channel that the model knows: it has "
            f"{', '.join(info.channel_names)}."
        )
    total = model.columns_of(info)
    if not total or info.num_samples < 2:
        raise DataError(
            f"{info.record_id!r} lasts {info.seconds:.4g} s ({info.num_samples} samples), less "
            f"than the {samples / model.window.sampling_rate_hz:g} s of the shortest piece that "
            "can be encoded."
        )
    num_columns = min(total, model.num_columns)
    reader = readers.get(channel_bucket(len(plan.channels.channels)), num_columns * samples)
    hop = max(1, round(model.num_columns * (1 - config.overlap)))
    if config.by_window:
        starts = _starts_or_none(reader, plan.recording)
        tiling = tile_regularly(starts, total, num_columns, hop, samples)
        return plan._replace(tiling=tiling, reader=reader)
    tiling = tile(reader.starts(plan.recording), total, num_columns, hop, samples)
    if not len(tiling.columns):
        raise DataError(
            f"{info.record_id!r} has no whole window of {model.window.seconds:g} s between its "
            "gaps."
        )
    return plan._replace(tiling=tiling, reader=reader)


def _starts_or_none(reader: WindowReader, recording: int) -> WindowStarts:
    """Return the starts of windows, none for a recording without a window between its gaps."""
    try:
        return reader.starts(recording)
    except DataError:  # its windows are no longer than the recording, so there are gaps
        return WindowStarts(np.zeros(0, np.int64), np.zeros(0, np.int64))


def channel_bucket(num_channels: int) -> int:
    """Return the number of channels that windows of ``num_channels`` are padded to."""
    return next((size for size in _CHANNEL_BUCKETS if size >= num_channels), num_channels)


def check_known_channels(source: SignalSource, known: Sequence[str]) -> None:
    """Reject channels unknown to the model, and suggest similar known names.

    Raises:
        DataError: A channel is unknown.
    """
    names = set(map(canonical_name, known))
    for info in source.recordings:
        for name in info.channel_names:
            if canonical_name(name) not in names:
                raise DataError(_unknown(info, name, known))


def _unknown(info: RecordingInfo, name: str, known: Sequence[str]) -> str:
    message = unknown_channel_message(name, known, "what this encoder was trained on")
    return (
        f"{info.record_id}: {message} Name it as one of these if it is the same, or leave such "
        "channels out with unknown_channels='exclude'."
    )


def rows_of(names: Sequence[str], model: ModelInput, *, derive_leads: bool) -> tuple[str, ...]:
    """Return the row names of the output for a recording with such channels."""
    info = RecordingInfo(
        record_id="a recording",
        subject_id="",
        channel_names=tuple(names),
        sampling_rate_hz=1.0,
        num_samples=0,
    )
    return _rows(info, model.planner(derive_leads=derive_leads).plan(info))


def _rows(info: RecordingInfo, plan: ChannelPlan) -> tuple[str, ...]:
    """Return the given names, followed by those of derived channels."""
    given = {canonical_name(name) for name in info.channel_names}
    return (*info.channel_names, *(name for name in plan.channels if name not in given))


def _reject_gaps(info: RecordingInfo, channels: ChannelPlan) -> None:
    gaps = [gap for gap in info.gaps if gap[0] in channels.montage.sources]
    if not gaps:
        return
    row, start, _ = gaps[0]
    count = sum(stop - begin for _, begin, stop in gaps)
    raise DataError(
        f"{info.record_id} holds {count} values that are not finite, the first in channel "
        f"{info.channel_names[row]!r} at {start / info.sampling_rate_hz:.3f} s; fix it, or exclude "
        "such windows with on_invalid='skip'."
    )


def _warn_of_similar_names(plans: Sequence[ChannelPlan]) -> None:
    """Warn of channels of one recording that the model cannot distinguish."""
    for plan in plans:
        names, ids = plan.present
        alike = [name for name, number in zip(names, ids, strict=True) if number == 0]
        if len(alike) > 1:
            _LOG.warning(
                "the model has no embeddings of the names %s and cannot distinguish the channels: "
                "exchanging them changes nothing. Train a model on names that are known.",
                ", ".join(alike),
            )
            return

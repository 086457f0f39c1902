"""Checks, plans and reports around an encoding."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from physio_mae_jax.data.arrays import ArrayRecordings
from physio_mae_jax.data.channel_plan import ChannelPlan, ChannelPlanner
from physio_mae_jax.data.input_spec import rate_note
from physio_mae_jax.data.source import RecordingInfo, SignalSource
from physio_mae_jax.data.windows import NORMALISATION, WindowConfig
from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.compiled_encoder import Output
from physio_mae_jax.inference.engine import Engine, RecordingPlan, read_columns
from physio_mae_jax.inference.inputs import renaming, reordering
from physio_mae_jax.inference.overlap_averager import OverlapAverager
from physio_mae_jax.inference.report import (
    CONVERTED,
    MASKED,
    PADDED,
    REJECTED,
    RENAMED,
    REORDERED,
    RESAMPLED,
    WARNING,
    EncodingReport,
    Note,
)
from physio_mae_jax.inference.trained_model import TrainedModel
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.signals.channel_derivation import ChannelDerivation
from physio_mae_jax.signals.channels import canonical_name, unknown_channel_message

_LOG = logging.getLogger(__name__)
# Steps of a clock differ by less; no signal rises this evenly for this many samples.
_CLOCK_TOLERANCE, _MIN_CLOCK_SAMPLES, _MAX_CLOCK_SAMPLES = 0.01, 32, 65_536
_NO_CHANNELS = ChannelPlan((), np.zeros(0, np.int32), ChannelDerivation(rows=(), notes=()))


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


def reject_clocks(source: ArrayRecordings, known: Sequence[str]) -> None:
    """Reject channels that only count: times or sample numbers mistaken for a signal.

    Args:
        source: Recordings passed as arrays.
        known: Names of channels to check; others are ignored.

    Raises:
        DataError: A channel increases by a constant step from sample to sample.
    """
    names = set(map(canonical_name, known))
    for index, info in enumerate(source.recordings):
        checked_plans = source.read(index, 0, min(info.num_samples, _MAX_CLOCK_SAMPLES))
        for values, name in zip(checked_plans, info.channel_names, strict=True):
            if canonical_name(name) in names and is_clock(values):
                raise DataError(
                    f"{info.record_id}: channel {name!r} only rises, evenly from {values[0]:g} to "
                    f"{values[-1]:g}: it is a time or a sample number and no signal. Leave that "
                    "row or column out, and check that each row has its own name."
                )


def is_clock(values: np.ndarray) -> bool:
    """Return whether [n] values increase at every sample by nearly equal steps."""
    if len(values) < _MIN_CLOCK_SAMPLES:
        return False
    steps = np.diff(values.astype(np.float64))
    if not (steps > 0).all():
        return False
    mean = (float(values[-1]) - float(values[0])) / len(steps)
    # float32 rounds large times, so a step is only accurate to the last digit.
    rounding = 2 * float(np.spacing(values[-1:])[0])
    return bool(np.abs(steps - mean).max() <= _CLOCK_TOLERANCE * mean + rounding)


class PlannedRecordings(NamedTuple):
    """Recordings ready for encoding.

    Attributes:
        infos: Descriptions of all recordings.
        channels: Channel names per recording, see ``EncodingReport.channels``.
        used: Derivation of the channels per recording.
        plans: Plans of the recordings that can be encoded.
        notes: Notes for the report.
        window: Window specification of the model.
        on_invalid: Handling of recordings that cannot be encoded.
    """

    infos: Sequence[RecordingInfo]
    channels: Sequence[tuple[str, ...]]
    used: Sequence[ChannelPlan]
    plans: Sequence[RecordingPlan]
    notes: list[Note]
    window: WindowConfig
    on_invalid: str


def plan_recordings(
    engine: Engine, source: SignalSource, window: WindowConfig, on_invalid: str
) -> PlannedRecordings:
    """Plan every recording.

    Raises:
        DataError: ``on_invalid`` is 'error' and a recording has values that are not finite, or
            cannot be encoded.
    """
    plans, used, notes = [], [], []
    for index, info in enumerate(source.recordings):
        channels = _NO_CHANNELS
        try:
            channels = engine.channel_plan(index)
            if on_invalid == "error":
                _reject_gaps(info, channels)
            plan = engine.plan(index)
        except DataError as error:
            if on_invalid == "error":
                raise
            notes.append(Note(REJECTED, f"whole: {error}", info.record_id))
        else:
            plans.append(plan)
            notes += _notes(info, channels, plan, window)
        used.append(channels)
    _warn_of_similar_names(used)
    rows = [_rows(info, channels) for info, channels in zip(source.recordings, used, strict=True)]
    return PlannedRecordings(source.recordings, rows, used, plans, notes, window, on_invalid)


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


def rows_of(names: Sequence[str], planner: ChannelPlanner) -> tuple[str, ...]:
    """Return the row names of the output for a recording with such channels."""
    info = RecordingInfo(
        record_id="a recording",
        subject_id="",
        channel_names=tuple(names),
        sampling_rate_hz=1.0,
        num_samples=0,
    )
    return _rows(info, planner.plan(info))


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


def _notes(
    info: RecordingInfo, channels: ChannelPlan, plan: RecordingPlan, window: WindowConfig
) -> list[Note]:
    found: list[tuple[str, str]] = []
    change = rate_note(info.sampling_rate_hz, window.sampling_rate_hz)
    names = renaming(info.channel_names)
    order = reordering(info.channel_names, channels.channels)
    for kind, text in ((RESAMPLED, change), (RENAMED, names), (REORDERED, order)):
        found += [(kind, text)] * bool(text)
    found += [(CONVERTED, note) for note in channels.montage.notes]
    nameless = [
        name for name, number in zip(channels.channels, channels.ids, strict=True) if not number
    ]
    if nameless:
        found.append((WARNING, f"names that the model cannot tell apart: {', '.join(nameless)}"))
    if window.band_hz:
        low, high = window.band_hz
        found.append((CONVERTED, f"band-passed {low:g} to {high:g} Hz, as in training"))
    unknown = [n for n in info.channel_names if canonical_name(n) not in channels.channels]
    if unknown:
        found.append((REJECTED, f"channels that the model does not know: {', '.join(unknown)}"))
    cut = plan.reader.config
    if cut.num_samples < window.num_samples:
        found.append((PADDED, f"from {cut.seconds:g} to {window.seconds:g} s, masked"))
    found += [(REJECTED, text) for text in _excluded_channels(info, plan)]
    return [Note(kind, text, info.record_id) for kind, text in found]


def _excluded_channels(info: RecordingInfo, plan: RecordingPlan) -> list[str]:
    """Report which time no window covers."""
    tiling, cut = plan.tiling, plan.reader.config
    column_seconds = cut.seconds / tiling.num_columns
    covered = len(tiling.coverage) * column_seconds
    texts = []
    if info.seconds - covered > 0.5 / info.sampling_rate_hz:
        texts.append(f"the last {info.seconds - covered:.3g} s, less than a column")
    missed = int((tiling.coverage == 0).sum())
    if missed:
        texts.append(f"{missed * column_seconds:.4g} s around values that are not finite")
    return texts


def assemble(
    planned: PlannedRecordings,
    collected: Sequence[OverlapAverager],
    config: MaeConfig,
    output: Output,
) -> tuple[list[np.ndarray], EncodingReport]:
    """Return the embedding of each recording, and the report.

    Raises:
        DataError: No channel of a recording varies, and ``on_invalid`` is 'error'.
    """
    by_recording = {
        plan.recording: found for plan, found in zip(planned.plans, collected, strict=True)
    }
    rows, notes = [], list(planned.notes)
    for index, info in enumerate(planned.infos):
        used, names = planned.used[index], planned.channels[index]
        found = by_recording.get(index)
        if found is None:
            # At least one row, to hold NaN.
            columns = max(1, read_columns(info, planned.window, config.patch_samples))
            found = OverlapAverager.empty(output, len(used.channels), columns, config)
        else:
            if not found.windows[0] and planned.on_invalid == "error":
                raise DataError(
                    f"{info.record_id}: no channel of it ever varies ({', '.join(used.channels)}), "
                    "or by less than a millionth of its offset (float64: 1e-12). Check the sensor, "
                    "subtract a large offset before rounding to float32, or get NaN for such "
                    "recordings with on_invalid='skip'."
                )
            texts = _flat(found, used.channels)
            notes += [Note(kind, text, info.record_id) for kind, text in texts]
        values = found.mean()
        if output in ("channels", "tokens"):
            values = _in_input_order(values, names, used.channels)
        rows.append(values)
    report = EncodingReport(
        recordings=tuple(info.record_id for info in planned.infos),
        channels=tuple(planned.channels),
        seconds=sum(info.seconds for info in planned.infos),
        num_windows=sum(int(found.windows[0]) for found in collected),
        window_seconds=planned.window.seconds,
        notes=tuple(notes),
    )
    return rows, report


def _in_input_order(values: np.ndarray, names: Sequence[str], used: Sequence[str]) -> np.ndarray:
    """Scatter rows [m, …] of the model's channels by name; NaN for the others."""
    row_of = {name: position for position, name in enumerate(used)}
    rows = np.full((len(names), *values.shape[1:]), np.nan, np.float32)
    for row, name in enumerate(map(canonical_name, names)):
        if name in row_of:
            rows[row] = values[row_of[name]]
    return rows


def _flat(found: OverlapAverager, channels: Sequence[str]) -> list[tuple[str, str]]:
    """Report masked channels and excluded windows that do not vary."""
    total = int(found.windows.sum())
    notes = [
        (MASKED, f"{name}, constant (beside its offset) or missing in {count} of {total} windows")
        for name, count in zip(channels, found.flat.tolist(), strict=True)
        if count
    ]
    if found.windows[1]:
        notes.append(
            (REJECTED, f"{found.windows[1]} of {total} windows, in which no channel varies")
        )
    return notes


def describe(trained: TrainedModel, config: MaeConfig) -> str:
    """Format the model_spec of an encoder."""
    given = trained.model_spec.input
    units = ", ".join(f"{name} in {unit}" for name, unit in given.units.items()) or "any"
    seen = (
        "one channel at a time"
        if trained.model_spec.channel_independent
        else (f"up to {given.num_channels} channels together")
    )
    filters = "; ".join(f"{name}: {what}" for name, what in given.filters.items())
    band = f"{given.band_hz[0]:g} to {given.band_hz[1]:g} Hz" if given.band_hz else "none"
    subjects = f"{len(trained.trained_on.subjects)} subjects"
    if not trained.trained_on.is_complete:
        subjects += " and more that are not known"
    lines = {
        "from": trained.origin,
        "channels": f"{', '.join(given.channels)}; {seen}",
        "units": units,
        "rate": f"{given.sampling_rate_hz:g} Hz; others are resampled",
        "window": f"{given.num_samples / given.sampling_rate_hz:g} s, {config.num_columns} columns "
        f"of {config.patch_samples / given.sampling_rate_hz:g} s",
        "band-pass": band,
        "normalised": NORMALISATION
        if given.normalisation == NORMALISATION
        else given.normalisation,
        "trained on": f"{subjects}; filtered before: {filters}",
        "embedding": f"{config.width} numbers, or of each of {config.num_rows} bands of "
        "frequency in each column of each channel",
    }
    return "\n".join(f"{name:<11}{text}" for name, text in lines.items())

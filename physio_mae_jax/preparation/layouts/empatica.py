"""Recordings of the Empatica E4 wristband, and alignment of channels with different rates.

Exports are read by ``data.formats.vendors.empatica_e4``. ``align_tracks`` resamples their channels
to one rate by a low-pass polyphase filter. Archives such as ``S2_E4_Data.zip`` are read without
unpacking them to disk.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.vendors.empatica_e4 import (
    ACC_COUNTS_PER_G,
    SENSORS,
    read_sensors,
)
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.recording import Annotations, Recording, RecordRef, require_file
from physio_mae_jax.signals.preprocess import Resampler, resample

ACC_CONVERSION = f"ACC_X, ACC_Y, ACC_Z: counts divided by {ACC_COUNTS_PER_G} are g"
# In the order of the channels of a recording.
E4_SENSORS = {name: SENSORS[name] for name in ("BVP", "EDA", "TEMP", "ACC")}
E4_CHANNELS = tuple(channel for kind in E4_SENSORS.values() for channel in kind.channels)
# In samples; far above the float64 resolution of epoch times at the rates of the E4.
_SHIFT_TOLERANCE = 1e-3
_SUBJECT = re.compile(r"(S\d+)(?:_E4_Data)?")
_ARCHIVE = "*_E4_Data.zip"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Track:
    """One channel at its own rate.

    Attributes:
        name: Canonical channel name.
        values: Samples [n] in ``unit``.
        sampling_rate_hz: Sampling rate of the values in Hz.
        unit: Unit of the values.
        start_s: Time of the first value in seconds.
    """

    name: str
    values: np.ndarray
    sampling_rate_hz: float
    unit: str
    start_s: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlignedTracks:
    """Channels with a common rate and start.

    Attributes:
        signal: Samples [M, n] float32.
        sampling_rate_hz: Highest sampling rate of the channels in Hz.
        start_s: Time of the first sample in seconds.
        cut_s: Maximum time removed from any channel at its start and end, in seconds.
        conversions: Conversions applied, one sentence for each channel.
    """

    signal: np.ndarray
    sampling_rate_hz: float
    start_s: float
    cut_s: tuple[float, float]
    conversions: tuple[str, ...]


def tracks_from_samples(
    sensor: str, values: np.ndarray, rate_hz: float, start_s: float, where: str
) -> list[Track]:
    """Create the tracks of a sensor from its samples as exported.

    Args:
        sensor: Key of ``E4_SENSORS``.
        values: Samples [n] or [n, k], as exported.
        rate_hz: Sampling rate in Hz.
        start_s: Time of the first sample in seconds.
        where: Name of the source in error messages.

    Raises:
        UnreadableError: there are no values, or the number of columns is not that of the sensor.
    """
    names, unit, _, divisor = SENSORS[sensor]
    table = values.reshape(len(values), -1) if values.ndim else values.reshape(0, 1)
    if not len(table) or table.shape[1] != len(names) or table.dtype.kind not in "iuf":
        raise UnreadableError(
            f"{where}: {sensor} has shape {values.shape} of {values.dtype}; samples in "
            f"{len(names)} columns are expected. Copy the file again."
        )
    return [
        Track(
            name=name,
            values=column / divisor,
            sampling_rate_hz=rate_hz,
            unit=unit,
            start_s=start_s,
        )
        for name, column in zip(names, table.T, strict=True)
    ]


def align_tracks(tracks: Sequence[Track], where: str) -> AlignedTracks:
    """Resample channels to their highest rate and crop them to the common time range.

    Slower channels are resampled by a low-pass polyphase filter without extrapolation. If channels
    start at different times, each is cropped at its sample nearest to the latest start, at most
    half a sample of the common rate away.

    Args:
        tracks: Tracks of one recording, at least one.
        where: Name of the recording in error messages.

    Raises:
        UnreadableError: there is no time range common to all channels.
        DataError: the ratio of the rates is not rational.
    """
    rate_hz = max(track.sampling_rate_hz for track in tracks)
    start_s = max(track.start_s for track in tracks)
    rows = [_resample_track(track, rate_hz) for track in tracks]
    offsets = [(start_s - track.start_s) * rate_hz for track in tracks]
    skipped = [round(samples) for samples in offsets]
    lengths = [len(row) - skip for row, skip in zip(rows, skipped, strict=True)]
    min_length = min(lengths)
    if min_length <= 0:
        raise UnreadableError(
            f"{where}: channels {tracks[lengths.index(min_length)].name} and "
            f"{tracks[skipped.index(0)].name} do not overlap in time; check their start times, or "
            "exclude the recording."
        )
    conversions = []
    for i, track in enumerate(tracks):
        if track.sampling_rate_hz != rate_hz:
            change = f"{track.sampling_rate_hz:g} to {rate_hz:g} Hz"
            conversions.append(f"{track.name}: {change} by a low-pass polyphase filter")
        if abs(offsets[i] - skipped[i]) > _SHIFT_TOLERANCE:
            conversions.append(f"{track.name}: shifted by less than a sample onto the common grid")
        if skipped[i] or lengths[i] > min_length:
            conversions.append(f"{track.name}: cropped to the common time range")
    return AlignedTracks(
        signal=np.stack(
            [row[skip : skip + min_length] for row, skip in zip(rows, skipped, strict=True)]
        ),
        sampling_rate_hz=rate_hz,
        start_s=start_s,
        cut_s=(max(skipped) / rate_hz, (max(lengths) - min_length) / rate_hz),
        conversions=tuple(conversions),
    )


def _resample_track(track: Track, rate_hz: float) -> np.ndarray:
    """Resample a track, [n] float32; nothing is extrapolated after its last sample."""
    change = Resampler.between(track.sampling_rate_hz, rate_hz)
    resampled = resample(track.values[None], change)[0]
    return resampled[: (len(track.values) - 1) * change.up // change.down + 1]


def find_exports(source: Path) -> list[RecordRef]:
    """List the folders that contain a ``BVP.csv``, and archives of such folders, at any depth.

    The subject is the nearest folder named like 'S2' or 'S2_E4_Data', else the folder itself; two
    sessions of a subject are two recordings. An archive that was unpacked beside itself is not
    listed a second time.

    Raises:
        DataError: there is neither.
    """
    refs = {}
    for path in sorted(source.rglob("BVP.csv")):
        folder = path.parent.relative_to(source)
        record_id = folder.as_posix() if folder.parts else source.name
        refs[record_id] = RecordRef(
            record_id=record_id,
            subject_id=_subject_of(source, folder) or path.parent.name,
            files=tuple((folder / f"{sensor}.csv").as_posix() for sensor in E4_SENSORS),
        )
    for path in sorted(source.rglob(_ARCHIVE)):
        folder = path.relative_to(source).with_suffix("")
        ref = RecordRef(
            record_id=folder.as_posix(),
            subject_id=_subject_of(source, folder) or path.stem,
            files=(folder.with_suffix(".zip").as_posix(),),
        )
        refs.setdefault(ref.record_id, ref)
    if not refs:
        raise DataError(
            f"{source} contains no exports of an Empatica E4: none of its folders has a BVP.csv, "
            f"and no file is named {_ARCHIVE}. Unpack archives of other names, or check --source."
        )
    return [refs[record_id] for record_id in sorted(refs)]


def _subject_of(source: Path, folder: Path) -> str | None:
    parts = [_SUBJECT.fullmatch(part) for part in reversed((source.name, *folder.parts))]
    return next((match[1] for match in parts if match), None)


def read_export(source: Path, ref: RecordRef) -> AlignedTracks:
    """Read and align the sensors of an export, with channels as in ``E4_CHANNELS``.

    Raises:
        DataError: a file is missing.
        UnreadableError: a file is broken, or the sensors do not overlap in time.
    """
    return align_tracks(export_tracks(source, ref), str(source / ref.files[0]))


def export_tracks(source: Path, ref: RecordRef) -> list[Track]:
    """Read the sensors of an export that ``find_exports`` listed, channels as in ``E4_CHANNELS``.

    Raises:
        DataError: a file is missing, or does not fit into memory.
        UnreadableError: a file is broken, or a sensor has no samples.
    """
    path = source / ref.files[0]
    if path.suffix == ".zip":
        require_file(path, "an export of an Empatica E4")
    else:
        for name in E4_SENSORS:
            require_file(path.with_name(f"{name}.csv"), f"the {name} of an Empatica E4")
        path = path.parent
    sensors = read_sensors(path)
    missing = sorted(f"{name}.csv" for name in E4_SENSORS if name not in sensors)
    if missing:
        found = ", ".join(f"{name}.csv" for name in sensors) or "no sensor"
        raise DataError(
            f"{path} lacks {', '.join(missing)}; it has {found}. Download it again, or exclude it."
        )
    tracks = []
    for name in E4_SENSORS:
        sensor = sensors[name]
        if not len(sensor.values):
            raise UnreadableError(
                f"{path}: {name}.csv has no samples; all of {', '.join(E4_SENSORS)} are needed. "
                "Export the recording again, or exclude it."
            )
        tracks += [
            Track(
                name=channel,
                values=column,
                sampling_rate_hz=sensor.rate_hz,
                unit=sensor.unit,
                start_s=sensor.start_s,
            )
            for channel, column in zip(sensor.names, sensor.values.T, strict=True)
        ]
    return tracks


def e4_recording(
    aligned: AlignedTracks,
    *,
    annotations: Mapping[str, Annotations] | None = None,
    attributes: Mapping[str, str | float | int] | None = None,
) -> Recording:
    """Create a recording from aligned channels in the order of ``E4_CHANNELS``.

    Args:
        aligned: Result of ``align_tracks`` on tracks of ``tracks_from_samples``.
        annotations: Annotations of the recording, by task.
        attributes: Attributes of the recording besides the seconds that are cut.
    """
    cut = {"cut_at_start_s": aligned.cut_s[0], "cut_at_end_s": aligned.cut_s[1]}
    return Recording(
        signal=aligned.signal,
        channels=E4_CHANNELS,
        units=tuple(kind.unit for kind in E4_SENSORS.values() for _ in kind.channels),
        sampling_rate_hz=aligned.sampling_rate_hz,
        conversions=(*aligned.conversions, ACC_CONVERSION),
        annotations=annotations or {},
        attributes={**cut, **(attributes or {})},
    )

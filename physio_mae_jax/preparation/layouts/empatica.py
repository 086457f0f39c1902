"""Recordings of the Empatica E4 wristband, and alignment of channels with different rates.

An export of Empatica Connect is a folder with one CSV file per sensor: the first line is the start
in seconds since 1970 (UTC), the second the sampling rate in Hz, followed by one line per sample.
BVP (64 Hz) has no unit, EDA (4 Hz) is in uS, TEMP (4 Hz) in degC, ACC (32 Hz, x y z) in 1/64 g
(``info.txt`` of the export). An export may also be an archive such as ``S2_E4_Data.zip``, which is
read without unpacking it to disk.
"""

import dataclasses
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError, name_file_in_errors
from physio_mae_jax.data.formats.memory import check_memory
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.recording import Annotations, Recording, RecordRef, require_file
from physio_mae_jax.signals.preprocess import Resampler, resample

ACC_COUNTS_PER_G = 64
ACC_CONVERSION = f"ACC_X, ACC_Y, ACC_Z: counts divided by {ACC_COUNTS_PER_G} are g"
E4_CHANNELS = ("PPG", "EDA", "TEMP", "ACC_X", "ACC_Y", "ACC_Z")
# Sensor -> channels, unit, sampling rate in Hz, divisor of the values.
E4_SENSORS: dict[str, tuple[tuple[str, ...], str, float, int]] = {
    "BVP": (("PPG",), "", 64.0, 1),
    "EDA": (("EDA",), "uS", 4.0, 1),
    "TEMP": (("TEMP",), "degC", 4.0, 1),
    "ACC": (("ACC_X", "ACC_Y", "ACC_Z"), "g", 32.0, ACC_COUNTS_PER_G),
}
# In samples; far above the float64 resolution of epoch times at the rates of the E4.
_SHIFT_TOLERANCE = 1e-3
_SUBJECT = re.compile(r"(S\d+)(?:_E4_Data)?")
_ARCHIVE = "*_E4_Data.zip"
_TEXT_ERRORS = (OSError, ValueError)
_ARCHIVE_ERRORS = (
    *_TEXT_ERRORS,
    *(EOFError, KeyError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error),
)


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
    """Create the tracks of a sensor of the E4.

    Args:
        sensor: Key of ``E4_SENSORS``.
        values: Samples [n] or [n, k], as exported.
        rate_hz: Sampling rate in Hz.
        start_s: Time of the first sample in seconds.
        where: Name of the source in error messages.

    Raises:
        UnreadableError: there are no values, or the number of columns is not that of the sensor.
    """
    names, unit, _, divisor = E4_SENSORS[sensor]
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
            "and "
            f"no file is named {_ARCHIVE}. Unpack archives of other names, or check --source."
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
        UnreadableError: a file is broken.
    """
    tracks = []
    for sensor, name in zip(E4_SENSORS, ref.files, strict=False):
        path = source / name
        if path.suffix == ".zip":
            return _archived_tracks(require_file(path, "an export of an Empatica E4"))
        require_file(path, f"the {sensor} of an Empatica E4")
        with name_file_in_errors(path, _expected(sensor), _TEXT_ERRORS):
            text = path.read_text(encoding="utf-8-sig")
        tracks += _parse_sensor(sensor, text, path)
    return tracks


def _archived_tracks(path: Path) -> list[Track]:
    """Read the sensors of an archive, its files at the top or in one folder."""
    expected = "an archive of BVP.csv, EDA.csv, TEMP.csv and ACC.csv"
    with name_file_in_errors(path, expected, _ARCHIVE_ERRORS), zipfile.ZipFile(path) as archive:
        members = {
            member.filename.rpartition("/")[2]: member
            for member in archive.infolist()
            if not member.filename.startswith("__MACOSX/")
        }
        missing = {f"{sensor}.csv" for sensor in E4_SENSORS} - set(members)
        if missing:
            raise DataError(
                f"{path} lacks {', '.join(sorted(missing))}; it has {', '.join(members)}. Download "
                "it again, or exclude it."
            )
        tracks = []
        for sensor in E4_SENSORS:
            member = members[f"{sensor}.csv"]
            check_memory(f"{path}, {member.filename},", member.file_size, member.compress_size)
            text = archive.read(member).decode("utf-8-sig")
            tracks += _parse_sensor(sensor, text, path / member.filename)
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
        units=tuple(unit for names, unit, *_ in E4_SENSORS.values() for _ in names),
        sampling_rate_hz=aligned.sampling_rate_hz,
        conversions=(*aligned.conversions, ACC_CONVERSION),
        annotations=annotations or {},
        attributes={**cut, **(attributes or {})},
    )


def _expected(sensor: str) -> str:
    num_columns = len(E4_SENSORS[sensor][0])
    return f"start, sampling rate in Hz and then samples, in {num_columns} columns"


def _parse_sensor(sensor: str, text: str, path: Path) -> list[Track]:
    """Make tracks of the text of a sensor's file."""
    num_columns = len(E4_SENSORS[sensor][0])
    with name_file_in_errors(path, _expected(sensor), _TEXT_ERRORS):
        lines = text.rstrip().splitlines()
        if len(lines) < 3:
            raise ValueError(f"it has {len(lines)} lines")
        if "" in lines:
            raise ValueError(f"line {lines.index('') + 1} is empty")
        table = np.loadtxt(lines, delimiter=",", comments=None, ndmin=2)
    starts, rates, values = table[0], table[1], table[2:]
    same = (starts == starts[0]).all() and (rates == rates[0]).all()
    if table.shape[1] != num_columns or not same or not np.isfinite(starts[0]) or not rates[0] > 0:
        raise UnreadableError(
            f"{path} begins with {lines[0]!r} and {lines[1]!r}; expected {_expected(sensor)}. "
            "Export the recording again, or exclude it."
        )
    return tracks_from_samples(sensor, values, float(rates[0]), float(starts[0]), str(path))

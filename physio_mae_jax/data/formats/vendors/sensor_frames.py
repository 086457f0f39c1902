"""Sensors of one device with different rates and starts, as frames of one recording.

A frame is the shortest duration in which every sensor has an integer number of samples (1/4 s for
an E4). Each sensor is cropped at its sample nearest to the latest start, at most half a sample
away, and after the last frame that all sensors have.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from physio_mae_jax.data.formats.file_facts import FileFacts, FileRecords, UnreadableError
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.data.formats.origin import Origin
from physio_mae_jax.data.formats.reader import Reader, check_unchanged
from physio_mae_jax.data.formats.several_rates import read_at_highest_rate
from physio_mae_jax.errors import DataError

_MAX_SAMPLES_PER_FRAME = 4096
_MAX_DENOMINATOR = 1000


class Sensor(NamedTuple):
    """Recording of one sensor.

    Attributes:
        names: Channel names [k].
        unit: Unit of the samples, '' if there is none.
        values: Samples [n, k]; ``as_frames`` takes float32.
        rate_hz: Sampling rate in Hz.
        start_s: Time of the first sample in seconds.
    """

    names: tuple[str, ...]
    unit: str
    values: np.ndarray
    rate_hz: float
    start_s: float


class Frames(NamedTuple):
    """Sensors as frames.

    Attributes:
        values: Frames [num_frames, sum of samples_per_frame], channel after channel, float32.
        samples_per_frame: Samples of each channel in a frame [M].
        names, units, rates_hz: Description of each channel [M].
        notes: Time ranges that were removed, for a warning.
    """

    values: np.ndarray
    samples_per_frame: tuple[int, ...]
    names: tuple[str, ...]
    units: tuple[str, ...]
    rates_hz: tuple[float, ...]
    notes: tuple[str, ...]


def as_frames(sensors: Sequence[Sensor], where: str) -> Frames:
    """Join sensors over their common time range.

    Args:
        sensors: At least one.
        where: Name of the recording in error messages.

    Raises:
        UnreadableError: the sensors have no time in common.
        DataError: their rates have no common frame.
    """
    per_frame = _samples_per_frame([sensor.rate_hz for sensor in sensors], where)
    latest_s = max(sensor.start_s for sensor in sensors)
    skipped = [round((latest_s - sensor.start_s) * sensor.rate_hz) for sensor in sensors]
    num_frames = min(
        (len(sensor.values) - skip) // count
        for sensor, skip, count in zip(sensors, skipped, per_frame, strict=True)
    )
    if num_frames <= 0:
        spans = ", ".join(
            f"{sensor.names[0]} {sensor.start_s:.3f} to "
            f"{sensor.start_s + len(sensor.values) / sensor.rate_hz:.3f} s"
            for sensor in sensors
        )
        raise UnreadableError(
            f"{where}: its sensors have no time in common ({spans}); check the starts in their "
            "files, or exclude the recording."
        )
    columns = []
    for sensor, skip, count in zip(sensors, skipped, per_frame, strict=True):
        kept = sensor.values[skip : skip + num_frames * count]
        columns += [channel.reshape(num_frames, count) for channel in kept.T]
    repeats = [(s, n) for s, n in zip(sensors, per_frame, strict=True) for _ in s.names]
    return Frames(
        values=np.concatenate(columns, axis=1),
        samples_per_frame=tuple(count for _, count in repeats),
        names=tuple(name for sensor in sensors for name in sensor.names),
        units=tuple(sensor.unit for sensor, _ in repeats),
        rates_hz=tuple(sensor.rate_hz for sensor, _ in repeats),
        notes=_cuts(sensors, skipped, per_frame, num_frames),
    )


def _samples_per_frame(rates_hz: Sequence[float], where: str) -> list[int]:
    rates = [Fraction(rate).limit_denominator(_MAX_DENOMINATOR) for rate in rates_hz]
    if all(rates):
        frame_hz = rates[0]
        for rate in rates[1:]:
            frame_hz = _common(frame_hz, rate)
        counts = [int(rate / frame_hz) for rate in rates]
        if max(counts) <= _MAX_SAMPLES_PER_FRAME:
            return counts
    raise DataError(
        f"{where}: the rates {', '.join(f'{rate:g}' for rate in rates_hz)} Hz of its sensors have "
        f"no frame of at most {_MAX_SAMPLES_PER_FRAME} samples in common; list channels of one "
        "rate in the manifest's 'channels', or save the sensors as separate files."
    )


def _common(a: Fraction, b: Fraction) -> Fraction:
    """Return the highest rate of which both are integer multiples."""
    while b:
        a, b = b, a % b
    return a


def _cuts(
    sensors: Sequence[Sensor], skipped: Sequence[int], per_frame: Sequence[int], num_frames: int
) -> tuple[str, ...]:
    """Describe the sensors from which a frame or more was removed."""
    notes = []
    for sensor, skip, count in zip(sensors, skipped, per_frame, strict=True):
        behind = len(sensor.values) - skip - num_frames * count
        if skip >= count or behind >= count:
            notes.append(
                f"{'/'.join(sensor.names)} is cut to the time that all sensors cover, by "
                f"{skip / sensor.rate_hz:g} s at its start and {behind / sensor.rate_hz:g} s at "
                "its end"
            )
    return tuple(notes)


def frames_reader(
    frames_of: Callable[[Path], Frames],
    companions: Callable[[Path], tuple[str, ...]],
    origin: Origin,
    *,
    is_folder: bool,
) -> Reader:
    """Make a reader of recordings that are joined from sensors.

    Args:
        frames_of: Reads a recording from its path.
        companions: Returns the names of its other sample files.
        origin: Source of its rates, names and units.
        is_folder: Whether the recording is a whole folder.
    """

    def probe(path: Path, entry: ManifestEntry) -> FileFacts:
        frames = frames_of(path)
        return FileFacts(
            shape=(len(frames.values), len(frames.names)),
            axes=("sample", "channel"),
            channels=frames.names,
            units=frames.units,
            samples_per_frame=frames.samples_per_frame,
            rates_hz=frames.rates_hz,
            loaded_bytes=frames.values.nbytes,
            companions=companions(path),
            notes=frames.notes,
            origin=origin,
            is_folder=is_folder,
        )

    return Reader(probe, lambda records: frames_of(records.path).values, read_frames)


def read_frames(
    records: FileRecords, loaded: np.ndarray | None, record: int, start: int, stop: int
) -> np.ndarray:
    """Read samples [start, stop) at the highest of the rates, float32 [M, stop - start].

    Raises:
        UnreadableError: the file changed since it was opened.
    """
    assert loaded is not None
    assert records.samples_per_frame is not None
    counts = records.samples_per_frame
    channels = len(counts) if loaded.shape[1] == sum(counts) else loaded.shape[1]
    check_unchanged(records, (len(loaded), channels))
    begins = np.cumsum((0, *counts))

    def read(channel: int, first: int, last: int) -> np.ndarray:
        column = records.columns[channel]
        count, begin = counts[column], begins[column]
        top = first // count
        values = loaded[top : -(-last // count), begin : begin + count].reshape(-1)
        return values[first - top * count : last - top * count]

    chosen = [counts[column] for column in records.columns]
    return read_at_highest_rate(read, chosen, len(loaded), start, stop)

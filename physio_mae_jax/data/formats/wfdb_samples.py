"""Samples of WFDB signal files, in ADC units.

Formats: G. B. Moody, WFDB Applications Guide, signal(5),
https://physionet.org/physiotools/wag/signal-5.htm.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

_FLAC_BITS = {508: 8, 516: 16, 524: 24}
_DIFFERENCE_FORMAT = 8


class _Packing(NamedTuple):
    """How samples are packed into bytes.

    Attributes:
        group_samples, group_bytes: Smallest group of samples that fills whole bytes.
        unpack: [groups, group_bytes] uint8 -> [groups, group_samples].
        bits: Bits per sample; the smallest such value marks a missing sample.
    """

    group_samples: int
    group_bytes: int
    unpack: Callable[[np.ndarray], np.ndarray]
    bits: int


def _view_as(dtype: str, offset: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    return lambda groups: groups.view(dtype).astype(np.int32) - offset


def _unpack_24(groups: np.ndarray) -> np.ndarray:
    return _sign_extend(_little_endian(groups), 24)[:, None]


def _unpack_212(groups: np.ndarray) -> np.ndarray:
    low, middle, high = groups.astype(np.int32).T
    return _sign_extend(
        np.stack([low | (middle & 0x0F) << 8, high | (middle >> 4) << 8], axis=1), 12
    )


def _unpack_310(groups: np.ndarray) -> np.ndarray:
    first, second = groups[:, :2].astype(np.int32), groups[:, 2:].astype(np.int32)
    parts = [pair[:, 0] >> 1 | (pair[:, 1] & 0x07) << 7 for pair in (first, second)]
    parts.append(first[:, 1] >> 3 | (second[:, 1] >> 3) << 5)
    return _sign_extend(np.stack(parts, axis=1), 10)


def _unpack_311(groups: np.ndarray) -> np.ndarray:
    word = _little_endian(groups)
    return _sign_extend(np.stack([word >> shift & 0x3FF for shift in (0, 10, 20)], axis=1), 10)


def _little_endian(groups: np.ndarray) -> np.ndarray:
    values = groups.astype(np.int32)
    return sum((values[:, i] << 8 * i for i in range(1, groups.shape[1])), values[:, 0])


def _sign_extend(values: np.ndarray, bits: int) -> np.ndarray:
    return np.where(values >= 1 << (bits - 1), values - (1 << bits), values)


_PACKINGS = {
    _DIFFERENCE_FORMAT: _Packing(1, 1, _view_as("<i1"), 0),
    16: _Packing(1, 2, _view_as("<i2"), 16),
    24: _Packing(1, 3, _unpack_24, 24),
    32: _Packing(1, 4, _view_as("<i4"), 32),
    61: _Packing(1, 2, _view_as(">i2"), 16),
    80: _Packing(1, 1, _view_as("<u1", 128), 8),
    160: _Packing(1, 2, _view_as("<u2", 32768), 16),
    212: _Packing(2, 3, _unpack_212, 12),
    310: _Packing(3, 4, _unpack_310, 10),
    311: _Packing(3, 4, _unpack_311, 10),
}
FORMATS = (*_PACKINGS, *_FLAC_BITS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SignalFile:
    """A file with the samples of one or more signals, frame by frame.

    Attributes:
        path: Path of the file.
        format: Key of ``FORMATS``.
        samples_per_frame: Samples per frame of each signal, in order.
        initial_values: Value of each signal before the first difference.
        byte_offset: Position of the first frame in bytes; for a FLAC file, number of its first
            sample.
    """

    path: Path
    format: int
    samples_per_frame: tuple[int, ...]
    initial_values: tuple[int, ...]
    byte_offset: int = 0

    @property
    def width(self) -> int:
        """Number of samples in a frame, over all signals."""
        return sum(self.samples_per_frame)


def missing_value(format_: int) -> int | None:
    """Return the value that marks a missing sample; None if every value is valid."""
    bits = _FLAC_BITS.get(format_) or _PACKINGS[format_].bits
    return -(1 << (bits - 1)) if bits else None


def min_file_bytes(file: SignalFile, num_frames: int) -> int:
    """Return the minimum size of a file with this many frames, in bytes.

    0 for a compressed file.
    """
    if file.format in _FLAC_BITS:
        return 0
    packing = _PACKINGS[file.format]
    groups, rest = divmod(num_frames * file.width, packing.group_samples)
    # Format 310 packs three samples into four bytes; the second one uses the last byte.
    last = 4 if file.format == 310 and rest == 2 else rest + 1 if rest else 0
    return file.byte_offset + groups * packing.group_bytes + last


def count_stored_frames(file: SignalFile) -> int:
    """Return the number of complete frames in a file.

    Raises:
        OSError, ValueError, RuntimeError: it cannot be read.
    """
    if file.format in _FLAC_BITS:
        import soundfile  # installed with wfdb; imported only for FLAC

        with soundfile.SoundFile(file.path) as sound:
            return max(0, sound.frames - file.byte_offset) // file.samples_per_frame[0]
    packing = _PACKINGS[file.format]
    num_bytes = max(0, file.path.stat().st_size - file.byte_offset)
    in_groups = num_bytes // packing.group_bytes * packing.group_samples
    # A truncated group may still contain the last samples.
    for more in range(packing.group_samples, -1, -1):
        frames = (in_groups + more) // file.width
        if min_file_bytes(file, frames) <= file.byte_offset + num_bytes:
            return frames
    return 0


def read_frames(file: SignalFile, start: int, stop: int) -> np.ndarray:
    """Read frames [start, stop) as integers [stop - start, width].

    Raises:
        OSError, ValueError, RuntimeError: the file cannot be read or is too short.
    """
    if file.format in _FLAC_BITS:
        frames = _read_flac(file, start, stop)
    elif file.format == _DIFFERENCE_FORMAT:
        # A sample is the sum of all previous differences, so reading starts at the first frame.
        frames = _integrate_differences(file, _read_packed(file, 0, stop))[start:]
    else:
        frames = _read_packed(file, start, stop)
    if len(frames) != stop - start:
        raise ValueError(f"{file.path.name} ends before frame {stop}")
    return frames


def _read_packed(file: SignalFile, start: int, stop: int) -> np.ndarray:
    packing = _PACKINGS[file.format]
    first, last = start * file.width, stop * file.width
    begin = first // packing.group_samples
    num_groups = -(-last // packing.group_samples) - begin
    groups = np.zeros(num_groups * packing.group_bytes, np.uint8)
    needed = min_file_bytes(file, stop) - file.byte_offset - begin * packing.group_bytes
    with file.path.open("rb") as stream:
        stream.seek(file.byte_offset + begin * packing.group_bytes)
        if stream.readinto(memoryview(groups)[:needed]) < needed:  # type: ignore[arg-type]
            raise ValueError(f"{file.path.name} ends before frame {stop}")
    samples = packing.unpack(groups.reshape(num_groups, packing.group_bytes)).reshape(-1)
    skipped = first - begin * packing.group_samples
    return samples[skipped : skipped + last - first].reshape(-1, file.width)


def _integrate_differences(file: SignalFile, differences: np.ndarray) -> np.ndarray:
    frames = np.empty(differences.shape, np.int64)
    begin = 0
    for count, initial in zip(file.samples_per_frame, file.initial_values, strict=True):
        part = differences[:, begin : begin + count]
        frames[:, begin : begin + count] = (
            np.cumsum(part.reshape(-1), dtype=np.int64).reshape(part.shape) + initial
        )
        begin += count
    return frames


def _read_flac(file: SignalFile, start: int, stop: int) -> np.ndarray:
    """Read a FLAC file, whose channels are the signals, all at the same rate."""
    import soundfile

    per_frame, num_signals = file.samples_per_frame[0], len(file.samples_per_frame)
    if set(file.samples_per_frame) != {per_frame}:
        raise ValueError(f"the signals of {file.path.name} differ in samples per frame")
    with soundfile.SoundFile(file.path) as sound:
        bits = {"PCM_S8": 8, "PCM_16": 16, "PCM_24": 24}.get(sound.subtype, 99)
        if sound.format != "FLAC" or bits > _FLAC_BITS[file.format]:
            raise ValueError(
                f"{file.path.name} is {sound.format} {sound.subtype}; FLAC of at most "
                f"{_FLAC_BITS[file.format]} bits is expected"
            )
        if sound.channels != num_signals:
            raise ValueError(
                f"{file.path.name} has {sound.channels} channels for {num_signals} signals"
            )
        sound.seek(start * per_frame + file.byte_offset)
        dtype = "int32" if bits == 24 else "int16"
        samples = np.zeros(((stop - start) * per_frame, num_signals), dtype)
        done = 0
        # soundfile fails on blocks of 2^24 or more samples.
        while done < len(samples) and (part := sound.read(2**20, dtype, always_2d=True)).size:
            part = part[: len(samples) - done]
            samples[done : done + len(part)] = part
            done += len(part)
    # soundfile returns 8- and 24-bit samples left-aligned.
    values = samples[: done - done % per_frame] >> (8 if bits in (8, 24) else 0)
    frames = values.reshape(-1, per_frame, num_signals).transpose(0, 2, 1)
    return frames.reshape(len(frames), -1)

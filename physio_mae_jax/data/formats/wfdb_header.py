"""Parsing WFDB headers: strict, in linear time, with bounded size.

Format: G. B. Moody, WFDB Applications Guide, header(5),
https://physionet.org/physiotools/wag/header-5.htm. Common variants are accepted: any
encoding, a byte order mark, folders in the names of records and signal files, a record name that
ends as its signal file does ('E00271.mat'), and dates and times of any form, of which only those
of the specification are used.
"""

import dataclasses
import math
import re
from collections.abc import Sequence
from pathlib import Path

from physio_mae_jax.data.formats.file_facts import UnreadableError, name_file_in_errors
from physio_mae_jax.data.formats.start_time import wfdb_start_time

DEFAULT_RATE_HZ = 250.0
DEFAULT_GAIN = 200.0
DEFAULT_UNIT = "mV"
MAX_BYTES = 2**20
MAX_SIGNALS = 4096
# File name of a signal or segment without samples.
NO_FILE = "~"

_EXPECTED = "a WFDB header"
# 16, 16+24, 80x4, 212x2:3+8: format, samples per frame, skew in frames, byte offset.
_FORMAT = re.compile(r"(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?", re.ASCII)
# 200, 200(0), -1e3(-12)/mV: gain, baseline, unit.
_GAIN = re.compile(r"([^(/\s]*)(?:\(([^)/]*)\))?(?:/(.*))?")
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_TIME = re.compile(r"\[?\d{1,4}[:/-]", re.ASCII)
_INTEGER_FIELDS = ("resolution", "zero", "initial value", "checksum", "block size")
_LARGEST_COUNT = 2**53
_LARGEST_BASELINE = 2**33
_LONGEST_NAME = 200
_SHOWN = 40


@dataclasses.dataclass(frozen=True, kw_only=True)
class WfdbSignal:
    """A signal line of a header.

    Attributes:
        name: Signal description, '' if there is none.
        file_name: File name as spelled in the header.
        format: Number of the storage format.
        samples_per_frame: Above 1 if the signal's rate is a multiple of the record's rate.
        skew: Delay of the samples in the file, in frames.
        byte_offset: Position of the first sample in the file, in bytes.
        gain: ADC units per physical unit.
        baseline: ADC value at physical 0.
        unit: Physical unit.
        initial_value: Initial ADC value, for difference formats.
        checksum: Checksum of the samples; None if there is none.
        is_calibrated: False if the gain is the default of the format.
    """

    name: str
    file_name: str
    format: int
    samples_per_frame: int = 1
    skew: int = 0
    byte_offset: int = 0
    gain: float = DEFAULT_GAIN
    baseline: int = 0
    unit: str = DEFAULT_UNIT
    initial_value: int = 0
    checksum: int | None = None
    is_calibrated: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class WfdbHeader:
    """Content of a header.

    Attributes:
        num_frames: Number of frames; 0 if the header omits it.
        frame_rate_hz: Frames per second.
        rate_is_stated: False if the rate is the default of the format.
        signals: Signals; none for a multi-segment record.
        segments: (name, frames) of each segment of a multi-segment record, else empty.
        comments: Comment lines without the leading '#'.
        start_time: First instant, see ``RecordingInfo``; '' if none is stated.
    """

    num_frames: int
    frame_rate_hz: float
    rate_is_stated: bool = True
    signals: tuple[WfdbSignal, ...] = ()
    segments: tuple[tuple[str, int], ...] = ()
    comments: tuple[str, ...] = ()
    start_time: str = ""

    @property
    def channels(self) -> tuple[str, ...]:
        """Descriptions of the signals [M], as spelled in the header."""
        return tuple(signal.name for signal in self.signals)

    @property
    def units(self) -> tuple[str, ...]:
        """Physical units of the signals [M]."""
        return tuple(signal.unit for signal in self.signals)

    @property
    def seconds(self) -> float:
        """Duration in seconds; 0 where the header does not state it."""
        return self.num_frames / self.frame_rate_hz


def read_header(path: Path) -> WfdbHeader:
    """Read the header of a record.

    Raises:
        UnreadableError: the file cannot be read, is too large, or is not a WFDB header.
    """
    with name_file_in_errors(path, _EXPECTED, (OSError, ValueError)):
        if not path.is_file():
            raise UnreadableError(f"{path} is missing or not a file; expected {_EXPECTED}.")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise UnreadableError(
                f"{path} has more than {MAX_BYTES} bytes, which is too large for {_EXPECTED}; "
                "exclude it from the folder or manifest."
            )
        return parse_header(decode_text(data), path)


def decode_text(data: bytes) -> str:
    """Decode text as UTF-8, else as Latin-1; units such as µV are not ASCII."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def parse_header(text: str, path: Path) -> WfdbHeader:
    """Parse the text of a header.

    Args:
        text: Content of the file.
        path: Path of the file, for messages; its stem is the name of the record.

    Raises:
        UnreadableError: it is truncated.
        ValueError: it is not a WFDB header; the message says where.
    """
    # Not splitlines, which also splits at characters such as U+0085 within a name.
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n")]
    comments = tuple(line[1:].strip() for line in lines if line.startswith("#"))
    first, *rest = [line for line in lines if line and line[0] != "#"] or [""]
    fields = first.split(maxsplit=4)
    if len(fields) < 2:
        raise ValueError("its first line does not give a name and a number of signals")
    name, num_signals = fields[0], _parse_count(fields[1], "number of signals")
    if num_signals > MAX_SIGNALS:
        raise ValueError(f"{num_signals} signals, {MAX_SIGNALS} at most are read")
    stated = len(fields) > 2
    rate_hz = _parse_rate(fields[2]) if stated else DEFAULT_RATE_HZ
    # A time or date follows directly if the length is missing.
    has_length = len(fields) > 3 and not _TIME.match(fields[3])
    num_frames = _parse_count(fields[3], "number of samples") if has_length else 0
    num_segments = _num_segments(name, path, rest)
    header = WfdbHeader(
        num_frames=num_frames,
        frame_rate_hz=rate_hz,
        rate_is_stated=stated,
        comments=comments,
        start_time=wfdb_start_time(" ".join(fields[3 + has_length :])),
    )
    if num_segments is not None:
        return dataclasses.replace(header, segments=_parse_segments(rest, num_segments, path))
    if len(rest) < num_signals:
        raise UnreadableError(
            f"{path} announces {num_signals} signals and describes {len(rest)}; it is truncated. "
            "Copy it again."
        )
    signals = tuple(_parse_signal(line, i) for i, line in enumerate(rest[:num_signals]))
    return dataclasses.replace(header, signals=signals)


def _num_segments(name: str, path: Path, rest: Sequence[str]) -> int | None:
    """Return the number after the slash of 'record/3'; None for a single-segment record."""
    _, slash, last = name.rpartition("/")
    if not slash or not _INTEGER.fullmatch(last):
        return None
    # 'folder/100' in 100.hea is a name with a folder, unless segment lines follow.
    if last == path.stem and any(len(line.split(maxsplit=2)) > 2 for line in rest[:1]):
        return None
    number = int(last)
    if not 0 < number <= MAX_BYTES:
        raise ValueError(f"{number} segments")
    return number


def _parse_segments(lines: Sequence[str], number: int, path: Path) -> tuple[tuple[str, int], ...]:
    if len(lines) < number:
        raise UnreadableError(
            f"{path} announces {number} segments and lists {len(lines)}; it is truncated. Copy it "
            "again, or exclude it from the folder or manifest: its segments are records themselves."
        )
    found = []
    for line in lines[:number]:
        name, *length = line.split(maxsplit=1)
        if not length:
            raise ValueError(f"the segment {_show(name)} has no length")
        found.append((name, _parse_count(length[0].split(maxsplit=1)[0], "length of a segment")))
    return tuple(found)


def _parse_signal(line: str, index: int) -> WfdbSignal:
    """Parse a signal line; only the first two fields are mandatory."""
    where = f"signal {index}"
    file_name, *fields = line.split(maxsplit=3)
    storage = _FORMAT.fullmatch(fields[0]) if fields else None
    if storage is None:
        raise ValueError(f"{where} has the format {_show(fields[0]) if fields else 'missing'}")
    format_, per_frame, skew, offset = (
        _parse_count(part or "0", f"format of {where}") for part in storage.groups()
    )
    if storage[2] is not None and per_frame == 0:
        raise ValueError(f"{where} has 0 samples in a frame")
    gain, baseline, unit = _parse_gain(fields[1], where) if len(fields) > 1 else (0.0, None, "")
    numbers, name = _parse_numbers(fields[2] if len(fields) > 2 else "", where)
    for text, max_length in ((file_name, 255), (name, _LONGEST_NAME), (unit, _LONGEST_NAME)):
        if len(text) > max_length:
            raise ValueError(f"{where} has a name or unit of {len(text)} letters, {_show(text)}")
    return WfdbSignal(
        name=name,
        file_name=file_name,
        format=format_,
        samples_per_frame=per_frame or 1,
        skew=skew,
        byte_offset=offset,
        # A gain of 0 means that the signal is not calibrated.
        gain=gain or DEFAULT_GAIN,
        baseline=numbers.get("zero", 0) if baseline is None else baseline,
        unit=unit or DEFAULT_UNIT,
        initial_value=numbers.get("initial value", numbers.get("zero", 0)),
        checksum=numbers.get("checksum"),
        is_calibrated=gain != 0,
    )


def _parse_gain(text: str, where: str) -> tuple[float, int | None, str]:
    """Parse '200(0)/mV'; the baseline is None if it is omitted."""
    parts = _GAIN.fullmatch(text)
    if parts is None:
        raise ValueError(f"{where} has the gain {_show(text)}")
    gain = _parse_number(parts[1], f"gain of {where}") if parts[1] else 0.0
    if not parts[2]:
        return gain, None, parts[3] or ""
    baseline = _parse_integer(parts[2], f"baseline of {where}")
    if abs(baseline) > _LARGEST_BASELINE:
        raise ValueError(f"the baseline of {where} is {baseline}, outside the range of an ADC")
    return gain, baseline, parts[3] or ""


def _parse_numbers(text: str, where: str) -> tuple[dict[str, int], str]:
    """Parse the integers before the description, and the description.

    Some writers omit the integers and write only a description.
    """
    numbers: dict[str, int] = {}
    for field in _INTEGER_FIELDS:
        first, *rest = text.split(maxsplit=1) or [""]
        if not _INTEGER.fullmatch(first):
            break
        numbers[field] = int(first)
        text = rest[0] if rest else ""
    if len(numbers) < len(_INTEGER_FIELDS) and any(map(_INTEGER.fullmatch, text.split()[1:])):
        raise ValueError(
            f"{where} has {_show(text.split(maxsplit=1)[0])} where its "
            f"{_INTEGER_FIELDS[len(numbers)]}, an integer, is expected"
        )
    return numbers, text


def _parse_rate(text: str) -> float:
    """Parse '360' or '360/1000(0)': the rate, and the counter frequency, which is ignored."""
    rate_hz = _parse_number(re.split(r"[/(]", text, maxsplit=1)[0], "sampling rate")
    if rate_hz <= 0:
        raise ValueError(f"the sampling rate is {_show(text)}, a number above 0 is expected")
    return rate_hz


def _parse_number(text: str, what: str) -> float:
    if not _NUMBER.fullmatch(text) or not math.isfinite(number := float(text)):
        raise ValueError(f"the {what} is {_show(text)}, a number is expected")
    return number


def _parse_integer(text: str, what: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"the {what} is {_show(text)}, an integer is expected")
    return int(text)


def _parse_count(text: str, what: str) -> int:
    number = _parse_integer(text, what)
    if not 0 <= number <= _LARGEST_COUNT:
        raise ValueError(f"the {what} is {number}")
    return number


def _show(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")

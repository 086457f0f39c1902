"""The headers of EDF, EDF+ and BDF files: fixed-width fields, parsed strictly.

Formats: Kemp et al. 1992 and 2003 (https://www.edfplus.info/specs/), 16 bits per sample; BioSemi's
BDF (https://www.biosemi.com/faq/file_format.htm) is the same with 24 bits. Common variants are
accepted: decimal commas, zero bytes for blanks, text in UTF-8 or Latin-1, ids and versions of any
form, which are not used here, and dates of any form, of which only valid ones are used.
"""

import dataclasses
import math
import re
from fractions import Fraction
from pathlib import Path

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.start_time import edf_start_time
from physio_mae_jax.data.formats.wfdb_header import decode_text
from physio_mae_jax.data.regular_file import open_regular

BDF_MAGIC = b"\xffBIOSEMI"
EDF_MAGIC = b"0       "
MAX_SIGNALS = 9999

_FIXED_BYTES = 256
_BYTES_PER_SIGNAL = 256
# Width of each signal field; the values of one field for all signals are stored together.
_WIDTHS = {
    "label": 16,
    "transducer": 80,
    "unit": 8,
    "physical_min": 8,
    "physical_max": 8,
    "digital_min": 8,
    "digital_max": 8,
    "prefilter": 80,
    "samples": 8,
    "reserved": 32,
}
_TEXTS = ("label", "unit", "physical_min", "physical_max", "digital_min", "digital_max")
_ANNOTATIONS = ("EDF Annotations", "BDF Annotations")
_INTEGER = re.compile(r"([+-]?\d+)(?:[.,]0*)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_HINT = "copy it again, or exclude it from the folder or manifest."


@dataclasses.dataclass(frozen=True, kw_only=True)
class EdfSignal:
    """What the header states about a signal.

    Attributes:
        label: Signal name, '' if there is none.
        unit: Physical dimension.
        samples: Samples in a data record.
        physical, digital: Minimum and maximum, as spelled in the header.
        first_sample: Position of its samples in a data record.
        is_annotations: True for an EDF+ channel that contains text instead of samples.
    """

    label: str
    unit: str
    samples: int
    physical: tuple[str, str]
    digital: tuple[str, str]
    first_sample: int
    is_annotations: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class EdfHeader:
    """What the header states about the file.

    Attributes:
        bytes_per_sample: 2 for EDF, 3 for BDF.
        header_bytes: Bytes before the samples.
        num_records: Number of data records; -1 where the recorder did not finish the header.
        record_seconds: Duration of a data record in seconds.
        is_interrupted: True for EDF+D: there may be gaps between the data records.
        signals: Signals of all channels, annotation channels included.
        start_time: First instant, see ``RecordingInfo``; '' if it is not a valid date.
    """

    bytes_per_sample: int
    header_bytes: int
    num_records: int
    record_seconds: Fraction
    is_interrupted: bool
    signals: tuple[EdfSignal, ...]
    start_time: str = ""

    @property
    def record_samples(self) -> int:
        """Number of samples in a data record, over all channels."""
        return sum(signal.samples for signal in self.signals)

    @property
    def record_bytes(self) -> int:
        """Size of a data record in bytes."""
        return self.record_samples * self.bytes_per_sample

    @property
    def format_name(self) -> str:
        """EDF or BDF."""
        return "BDF" if self.bytes_per_sample == 3 else "EDF"


def looks_like_edf(path: Path) -> bool:
    """Return whether a file begins like EDF or BDF; other formats use the same suffixes."""
    try:
        with path.open("rb") as file:
            return file.read(8) in (EDF_MAGIC, BDF_MAGIC)
    except OSError:
        return False


def read_edf_header(path: Path) -> EdfHeader:
    """Read the header of a file.

    Raises:
        DataError: the path is not a regular file.
        UnreadableError: the file is truncated.
        OSError, ValueError: it cannot be read, or is not an EDF file; the message says where.
    """
    with open_regular(path, _HINT) as file:
        fixed = file.read(_FIXED_BYTES)
        if len(fixed) < _FIXED_BYTES:
            raise ValueError(f"a file of {len(fixed)} bytes has no header")
        num_signals = _parse_integer(fixed[252:256], "number of signals")
        if not 0 < num_signals <= MAX_SIGNALS:
            raise ValueError(f"the header states {num_signals} signals")
        header_bytes = _parse_integer(fixed[184:192], "size of the header")
        if header_bytes != _FIXED_BYTES + _BYTES_PER_SIGNAL * num_signals:
            raise ValueError(f"a header of {header_bytes} bytes for {num_signals} signals")
        signal_bytes = file.read(_BYTES_PER_SIGNAL * num_signals)
    if len(signal_bytes) < _BYTES_PER_SIGNAL * num_signals:
        raise UnreadableError(f"{path} is truncated within its header; {_HINT}")
    return EdfHeader(
        bytes_per_sample=3 if fixed[:8] == BDF_MAGIC else 2,
        header_bytes=header_bytes,
        num_records=_parse_integer(fixed[236:244], "number of data records"),
        record_seconds=_parse_seconds(fixed[244:252]),
        is_interrupted=fixed[192:236].startswith((b"EDF+D", b"BDF+D")),
        signals=_parse_signals(signal_bytes, num_signals),
        start_time=edf_start_time(_decode_field(fixed[168:176]), _decode_field(fixed[176:184])),
    )


def parse_number(text: str) -> float:
    """Parse a number with a decimal point or comma; NaN for other text."""
    point = text.replace(",", ".")
    return float(point) if _NUMBER.fullmatch(point) else math.nan


def _parse_signals(signal_bytes: bytes, count: int) -> tuple[EdfSignal, ...]:
    columns: dict[str, list[bytes]] = {}
    start = 0
    for field, width in _WIDTHS.items():
        columns[field] = [signal_bytes[start + i * width :][:width] for i in range(count)]
        start += width * count
    signals = []
    first = 0
    for i in range(count):
        text = {field: _decode_field(columns[field][i]) for field in _TEXTS}
        samples = _parse_integer(columns["samples"][i], f"samples per data record of signal {i}")
        if samples < 0:
            raise ValueError(f"the header states {samples} samples in a data record")
        signals.append(
            EdfSignal(
                label=text["label"],
                unit=text["unit"],
                samples=samples,
                physical=(text["physical_min"], text["physical_max"]),
                digital=(text["digital_min"], text["digital_max"]),
                first_sample=first,
                is_annotations=text["label"] in _ANNOTATIONS,
            )
        )
        first += samples
    return tuple(signals)


def _parse_seconds(field: bytes) -> Fraction:
    seconds = parse_number(_decode_field(field))
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"data records of {_decode_field(field)!r} seconds, a number is expected")
    # A Fraction is exact for decimals such as 0.1; values too small for a float become 0.
    return Fraction(_decode_field(field).replace(",", ".")) if seconds else Fraction(0)


def _parse_integer(field: bytes, what: str) -> int:
    match = _INTEGER.fullmatch(_decode_field(field))
    if match is None:
        raise ValueError(f"the {what} is {_decode_field(field)!r}, an integer is expected")
    return int(match[1])


def _decode_field(field: bytes) -> str:
    return decode_text(field.replace(b"\0", b" ")).strip()

"""The headers of EDF, EDF+ and BDF files: fields of fixed width, read strictly.

Formats: Kemp et al. 1992 and 2003 (https://www.edfplus.info/specs/), 16 bits a sample; BDF of
BioSemi (https://www.biosemi.com/faq/file_format.htm) is the same with 24 bits. Beyond them are
accepted what files in use have: decimal commas, zero bytes for blanks, texts in UTF-8 or Latin-1,
and dates, ids and versions of any form, which nothing here needs.
"""

import dataclasses
import math
import re
from fractions import Fraction
from pathlib import Path

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.wfdb_header import decoded
from physio_mae_jax.data.regular_file import open_regular

BDF_MAGIC = b"\xffBIOSEMI"
EDF_MAGIC = b"0       "
MAX_SIGNALS = 9999

_FIXED_BYTES = 256
_BYTES_PER_SIGNAL = 256
# Width of each field of the signals, all values of one field after another.
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
        label: Signal name, '' where there is none.
        unit: Physical dimension.
        samples: Samples in a data record.
        physical, digital: Lowest and highest value, each as in the header.
        first_sample: Position of its samples in a data record.
        is_annotations: True for an EDF+ channel that holds text instead of samples.
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
    """

    bytes_per_sample: int
    header_bytes: int
    num_records: int
    record_seconds: Fraction
    is_interrupted: bool
    signals: tuple[EdfSignal, ...]

    @property
    def record_samples(self) -> int:
        """Samples of a data record, of all channels."""
        return sum(signal.samples for signal in self.signals)

    @property
    def record_bytes(self) -> int:
        """Bytes of a data record."""
        return self.record_samples * self.bytes_per_sample

    @property
    def format_name(self) -> str:
        """EDF or BDF."""
        return "BDF" if self.bytes_per_sample == 3 else "EDF"


def looks_like_edf(path: Path) -> bool:
    """Return whether a file begins as EDF or BDF does; others have the same endings."""
    try:
        with path.open("rb") as file:
            return file.read(8) in (EDF_MAGIC, BDF_MAGIC)
    except OSError:
        return False


def read_edf_header(path: Path) -> EdfHeader:
    """Read the header of a file.

    Raises:
        DataError: the file is no ordinary one.
        UnreadableError: it is cut short.
        OSError, ValueError: it cannot be read, or is no EDF file; the message says where.
    """
    with open_regular(path, _HINT) as file:
        fixed = file.read(_FIXED_BYTES)
        if len(fixed) < _FIXED_BYTES:
            raise ValueError(f"a file of {len(fixed)} bytes has no header")
        num_signals = _integer(fixed[252:256], "number of signals")
        if not 0 < num_signals <= MAX_SIGNALS:
            raise ValueError(f"the header states {num_signals} signals")
        header_bytes = _integer(fixed[184:192], "size of the header")
        if header_bytes != _FIXED_BYTES + _BYTES_PER_SIGNAL * num_signals:
            raise ValueError(f"a header of {header_bytes} bytes for {num_signals} signals")
        described = file.read(_BYTES_PER_SIGNAL * num_signals)
    if len(described) < _BYTES_PER_SIGNAL * num_signals:
        raise UnreadableError(f"{path} is cut short within its header; {_HINT}")
    return EdfHeader(
        bytes_per_sample=3 if fixed[:8] == BDF_MAGIC else 2,
        header_bytes=header_bytes,
        num_records=_integer(fixed[236:244], "number of data records"),
        record_seconds=_seconds(fixed[244:252]),
        is_interrupted=fixed[192:236].startswith((b"EDF+D", b"BDF+D")),
        signals=_signals(described, num_signals),
    )


def number(text: str) -> float:
    """Read a number with a decimal point or comma; NaN of what is none."""
    point = text.replace(",", ".")
    return float(point) if _NUMBER.fullmatch(point) else math.nan


def _signals(described: bytes, count: int) -> tuple[EdfSignal, ...]:
    columns: dict[str, list[bytes]] = {}
    start = 0
    for field, width in _WIDTHS.items():
        columns[field] = [described[start + i * width :][:width] for i in range(count)]
        start += width * count
    signals = []
    first = 0
    for i in range(count):
        text = {field: _text(columns[field][i]) for field in _TEXTS}
        samples = _integer(columns["samples"][i], f"samples a data record of signal {i}")
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


def _seconds(field: bytes) -> Fraction:
    seconds = number(_text(field))
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"data records of {_text(field)!r} seconds, a number is expected")
    # Exactly what is written, 0.1 being a tenth; of what is too small for a float, 0.
    return Fraction(_text(field).replace(",", ".")) if seconds else Fraction(0)


def _integer(field: bytes, what: str) -> int:
    match = _INTEGER.fullmatch(_text(field))
    if match is None:
        raise ValueError(f"the {what} is {_text(field)!r}, a whole number is expected")
    return int(match[1])


def _text(field: bytes) -> str:
    return decoded(field.replace(b"\0", b" ")).strip()

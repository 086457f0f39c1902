"""ISHNE Holter files (.ecg): 16-bit samples of up to twelve leads behind a header of 522 bytes.

By the specification (F. Badilini, "The ISHNE Holter Standard Output File Format", Ann. Noninvasive
Electrocardiol. 1998; 3: 263-266, http://thew-project.org/THEWFileFormat.html). Little-endian; the
samples of all leads are interleaved, each in units of the resolution of its lead in nanovolts.
-32768 marks a missing value. The header states the number of samples of each lead; some recorders
write that of all leads, or 0. The number is therefore computed from the file size, and a truncated
file is an error. A wrong checksum (CRC-CCITT of the header) causes a warning only, as some
recorders do not compute it.
The leads X, Y and Z are read as VX, VY, VZ.
"""

import struct
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from physio_mae_jax.data.formats.file_facts import (
    FileFacts,
    FileRecords,
    UnreadableError,
    name_file_in_errors,
)
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.data.formats.origin import Origin
from physio_mae_jax.data.formats.reader import Reader
from physio_mae_jax.data.formats.start_time import iso_time
from physio_mae_jax.data.formats.vendors.vendor_format import Head, VendorFormat
from physio_mae_jax.data.regular_file import open_regular
from physio_mae_jax.signals.rates import check_rate

_NAME = "ISHNE Holter"
_EXPECTED = "an ISHNE header and the samples that it describes"
_MAGIC = b"ISHNE1.0"
_HEADER_BYTES = 522
_MAX_VARIABLE_BYTES = 2**20
_MAX_LEADS = 12
# Magic, checksum; sizes of variable block and samples, offsets of variable block and samples.
_SIZES = struct.Struct("<8sHiiii")
_LEADS = struct.Struct("<h12h12h12h")
_LEADS_OFFSET, _RATE_OFFSET = 156, 272
# Day, month and year of the recording; of the file; hour, minute and second of the start.
_START = struct.Struct("<3h6x3h")
_START_OFFSET = 138
_CHECKED_FROM = 10
_NO_VALUE = -32768
_NV_PER_MV = 1e6
_SPECS = ("ECG", "ECG", "VX", "VY", "VZ", "I", "II", "III", "aVR", "aVL", "aVF",
          "V1", "V2", "V3", "V4", "V5", "V6", "ES", "AS", "AI")  # fmt: skip
_AGAIN = "Copy the file again, or exclude it from the folder or manifest."


class IshneHeader(NamedTuple):
    """Content of a header.

    Attributes:
        samples_offset: Position of the samples in bytes.
        num_samples: Number of samples of each lead.
        names: Name of each lead [M].
        resolutions_nv: Resolution of each lead in nV [M].
        sampling_rate_hz: Sampling rate in Hz.
        notes: Contradictions that do not prevent reading.
        start_time: First instant, see ``RecordingInfo``; '' if it is not a valid date.
    """

    samples_offset: int
    num_samples: int
    names: tuple[str, ...]
    resolutions_nv: tuple[int, ...]
    sampling_rate_hz: float
    notes: tuple[str, ...]
    start_time: str = ""


def read_ishne_header(path: Path) -> IshneHeader:
    """Read a header, and check it against the size of the file.

    Raises:
        UnreadableError: the header is broken, or samples are missing.
    """
    with open_regular(path, _AGAIN) as file:
        fixed = file.read(_HEADER_BYTES)
        if len(fixed) < _HEADER_BYTES or not fixed.startswith(_MAGIC):
            raise UnreadableError(
                f"{path} begins with {fixed[:8]!r} and has {len(fixed)} bytes of header; "
                f"{_MAGIC!r} and {_HEADER_BYTES} bytes are expected. {_AGAIN}"
            )
        _, checksum, variable, stated, variable_offset, offset = _SIZES.unpack_from(fixed)
        size = path.stat().st_size
        _check_offsets(path, variable, variable_offset, offset, size)
        block = file.read(variable) if variable_offset == _HEADER_BYTES else b""
    names, resolutions = _leads(path, fixed)
    rate_hz = float(struct.unpack_from("<h", fixed, _RATE_OFFSET)[0])
    check_rate(rate_hz, names, f"{path}, header")
    num_samples, rest = divmod(size - offset, 2 * len(names))
    notes = []
    if rest or not num_samples or stated > num_samples * len(names):
        raise UnreadableError(
            f"{path} is cut short: {size - offset} bytes of samples of {len(names)} leads, where "
            f"its header states {stated} samples. {_AGAIN}"
        )
    if stated not in (0, num_samples, num_samples * len(names)):
        notes.append(f"its header states {stated} samples of each lead, it has {num_samples}")
    if checksum not in (0, crc_ccitt(fixed[_CHECKED_FROM:] + block)):
        notes.append("the checksum of its header does not match: the header may be damaged")
    day, month, year, *clock = _START.unpack_from(fixed, _START_OFFSET)
    start_time = iso_time(year, month, day, *clock)
    return IshneHeader(offset, num_samples, names, resolutions, rate_hz, tuple(notes), start_time)


def _check_offsets(path: Path, variable: int, variable_offset: int, offset: int, size: int) -> None:
    sound = 0 <= variable <= _MAX_VARIABLE_BYTES and _HEADER_BYTES <= offset <= size
    if not sound or not 0 <= variable_offset <= offset:
        raise UnreadableError(
            f"{path}: its header puts {variable} bytes of text at {variable_offset} and its "
            f"samples at {offset}, of {size} bytes in all; positions in the file, samples behind "
            f"byte {_HEADER_BYTES}, are expected. {_AGAIN}"
        )


def _leads(path: Path, fixed: bytes) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the name and the resolution of each lead."""
    count, *rest = _LEADS.unpack_from(fixed, _LEADS_OFFSET)
    if not 1 <= count <= _MAX_LEADS:
        raise UnreadableError(
            f"{path}: its header states {count} leads; 1 to {_MAX_LEADS} are expected. {_AGAIN}"
        )
    specs, resolutions = rest[:count], rest[24 : 24 + count]
    if min(resolutions) <= 0:
        raise UnreadableError(
            f"{path}: its header states resolutions of {', '.join(map(str, resolutions))} nV; "
            f"positive numbers are expected. {_AGAIN}"
        )
    names = [_SPECS[spec] if 0 <= spec < len(_SPECS) else "ECG" for spec in specs]
    counts = Counter(names)
    return (
        tuple(n if counts[n] == 1 else f"{n} {i + 1}" for i, n in enumerate(names)),
        tuple(resolutions),
    )


def crc_ccitt(data: bytes) -> int:
    """Return the CRC-CCITT of bytes: polynomial 0x1021, from 0xFFFF."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ (0x1021 if crc & 0x8000 else 0)
        crc &= 0xFFFF
    return crc


def _probe(path: Path, entry: ManifestEntry) -> FileFacts:
    with name_file_in_errors(path, _EXPECTED, (OSError, ValueError, struct.error)):
        header = read_ishne_header(path)
    return FileFacts(
        shape=(header.num_samples, len(header.names)),
        axes=("sample", "channel"),
        channels=header.names,
        units=("mV",) * len(header.names),
        sampling_rate_hz=header.sampling_rate_hz,
        notes=header.notes,
        origin=Origin(
            format=_NAME, rate="its header", names="its header", units="its header (nV per count)"
        ),
        start_time=header.start_time,
    )


def _read(
    records: FileRecords, loaded: np.ndarray | None, record: int, start: int, stop: int
) -> np.ndarray:
    """Read samples [start, stop) in mV, float32 [M, stop - start]."""
    with name_file_in_errors(records.path, _EXPECTED, (OSError, ValueError, struct.error)):
        header = read_ishne_header(records.path)
        if (header.num_samples, len(header.names)) != records.shape:
            raise UnreadableError(f"{records.path} changed since it was opened.")
        stored = np.memmap(
            records.path, "<i2", "r", offset=header.samples_offset, shape=records.shape
        )
        counts = np.array(stored[start:stop].T[list(records.columns)])
    gains = np.array([header.resolutions_nv[column] / _NV_PER_MV for column in records.columns])
    values = (counts * gains[:, None]).astype(np.float32)
    values[counts == _NO_VALUE] = np.nan
    return values


def _is_ishne(head: Head) -> bool:
    return head.data.startswith(_MAGIC)


ISHNE = VendorFormat(_NAME, (".ecg", ".ishne"), _is_ishne, Reader(_probe, None, _read))

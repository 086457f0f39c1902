"""One reader for each format of recordings: .npy, .npz, .csv, .parquet, EDF, BDF and WFDB.

Exports of devices are recognized by their content and read by ``vendors``, whatever their ending.

Nothing is ever unpickled: object arrays are rejected.
"""

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from physio_mae_jax.data.formats.csv_table import load_csv, probe_csv
from physio_mae_jax.data.formats.edf_record import probe_edf, read_edf
from physio_mae_jax.data.formats.file_facts import (
    FileFacts,
    FileRecords,
    UnreadableError,
    name_file_in_errors,
)
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.data.formats.memory import check_memory
from physio_mae_jax.data.formats.npz_member import (
    NPZ_ERRORS,
    NPZ_EXPECTED,
    abbreviate,
    check_member,
    is_in_place,
    map_member,
    member_values,
    read_array_header,
)
from physio_mae_jax.data.formats.parquet_table import (
    load_parquet_part,
    probe_parquet,
    read_parquet,
)
from physio_mae_jax.data.formats.reader import Reader, read_loaded
from physio_mae_jax.data.formats.vendors.registry import vendor_format
from physio_mae_jax.data.formats.wfdb_record import probe_wfdb, read_wfdb
from physio_mae_jax.errors import DataError

# Member names that are recognized if the manifest entry does not name the member.
_SIGNAL_MEMBERS = ("X", "signal")
_CHANNEL_MEMBERS = ("channels", "channel_names")
_RATE_MEMBERS = ("fs", "sampling_rate_hz")
_SUBJECT_MEMBERS = ("subject", "subject_id", "patient_id")
_RECORD_MEMBERS = ("record", "record_id", "rec")

_FEW_VALUES = 64
_NPY = "an array of numbers written by numpy.save"


def file_suffix(path: Path) -> str:
    """Return the ending of a file's name, in small letters; of a packed table both, '.csv.gz'."""
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    return "".join(suffixes) if "".join(suffixes) in TEXT_TABLE_SUFFIXES else "".join(suffixes[-1:])


def get_reader(path: Path) -> Reader:
    """Return the reader of a file: by its content for exports of devices, else by its ending.

    Raises:
        DataError: no reader for this format.
    """
    if vendor := vendor_format(path):
        return vendor.reader
    suffix = file_suffix(path)
    if suffix in READERS or suffix in TEXT_TABLE_SUFFIXES:
        return READERS.get(suffix, READERS[".csv"])
    hint = " List a WFDB record by its header, .hea." if suffix == ".dat" else ""
    raise DataError(
        f"{path}: files ending in {suffix!r} cannot be read; supported: {', '.join(READERS)}.{hint}"
    )


def _probe_npy(path: Path, entry: ManifestEntry) -> FileFacts:
    with name_file_in_errors(path, _NPY, NPZ_ERRORS), path.open("rb") as file:
        return FileFacts(shape=_array_header(file, path.stat().st_size, str(path)))


def _read_npy(
    records: FileRecords, loaded: np.ndarray | None, record: int, start: int, stop: int
) -> np.ndarray:
    with name_file_in_errors(records.path, _NPY, NPZ_ERRORS):
        # Opened for each read: thousands of open memory maps would exhaust the file handles.
        array = np.load(records.path, mmap_mode="r", allow_pickle=False)
        return read_loaded(records, array, record, start, stop)


def _probe_npz(path: Path, entry: ManifestEntry) -> FileFacts:
    with name_file_in_errors(path, NPZ_EXPECTED, NPZ_ERRORS), zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        member = _choose_member(entry.array, _SIGNAL_MEMBERS, names, "array", entry, path)
        if member is None:
            return FileFacts(shape=None, members=tuple(names))
        info = archive.getinfo(f"{member}.npy")
        where = f"{path}, member {member!r}"
        with archive.open(info) as file:
            shape = _array_header(file, info.file_size, where)
        in_place = is_in_place(info)
        if not in_place:
            check_memory(where, info.file_size, info.compress_size)
        # One value per channel or record; the axes may not be known yet.
        max_values = max(_FEW_VALUES, *shape)

        def member_texts(
            stated: str | None, spellings: Sequence[str], key: str
        ) -> tuple[str, ...] | None:
            name = _choose_member(stated, spellings, names, key, entry, path)
            return None if name is None else _read_texts(archive, name, max_values)

        rate = member_texts(None, _RATE_MEMBERS, "sampling_rate_hz")
        return FileFacts(
            shape=shape,
            channels=member_texts(None, _CHANNEL_MEMBERS, "channels"),
            sampling_rate_hz=None if rate is None else _parse_single_rate(rate, path),
            subjects=member_texts(entry.subject_array, _SUBJECT_MEMBERS, "subject_array"),
            record_keys=member_texts(entry.record_array, _RECORD_MEMBERS, "record_array"),
            member=member,
            members=tuple(names),
            loaded_bytes=0 if in_place else info.file_size,
        )


def _load_npz(records: FileRecords) -> np.ndarray:
    """Return the signal array, a ``memmap`` where it is read in place."""
    assert records.member is not None
    with (
        name_file_in_errors(records.path, NPZ_EXPECTED, NPZ_ERRORS),
        zipfile.ZipFile(records.path) as archive,
    ):
        info = archive.getinfo(f"{records.member}.npy")
        if is_in_place(info):
            check_member(archive, info)
            return map_member(records.path, records.member)
        where = f"{records.path}, member {records.member!r}"
        check_memory(where, info.file_size, info.compress_size)
        with archive.open(info) as file:
            return np.lib.format.read_array(file, allow_pickle=False)


def _read_npz(
    records: FileRecords, loaded: np.ndarray | None, record: int, start: int, stop: int
) -> np.ndarray:
    if isinstance(loaded, np.memmap):
        assert records.member is not None
        # Pages of a mapping that is kept would count as memory of the process.
        with name_file_in_errors(records.path, NPZ_EXPECTED, NPZ_ERRORS):
            loaded = map_member(records.path, records.member)
    return read_loaded(records, loaded, record, start, stop)


def _load_csv(records: FileRecords) -> np.ndarray:
    return load_csv(records.path, records.stored_columns or ())


def _read_wfdb(
    records: FileRecords, loaded: np.ndarray | None, record: int, start: int, stop: int
) -> np.ndarray:
    return read_wfdb(records.path, records.columns, records.num_samples, start, stop)


def _read_edf(
    records: FileRecords, loaded: np.ndarray | None, record: int, start: int, stop: int
) -> np.ndarray:
    assert records.stored_columns is not None
    columns = [records.stored_columns[i] for i in records.columns]
    return read_edf(records.path, columns, records.num_samples, start, stop)


# File suffix -> reader.
READERS = {
    ".npy": Reader(_probe_npy, None, _read_npy),
    ".npz": Reader(_probe_npz, _load_npz, _read_npz),
    ".csv": Reader(probe_csv, _load_csv, read_loaded),
    ".parquet": Reader(probe_parquet, None, read_parquet, load_parquet_part),
    ".edf": Reader(probe_edf, None, _read_edf),
    ".bdf": Reader(probe_edf, None, _read_edf),
    ".rec": Reader(probe_edf, None, _read_edf),
    ".hea": Reader(probe_wfdb, None, _read_wfdb),
}
# Read like .csv if a manifest lists them, or if a folder has nothing else: beside recordings such
# files are usually notes and subject lists.
TEXT_TABLE_SUFFIXES = (".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")


def _array_header(file: IO[bytes], size: int, where: str) -> tuple[int, ...]:
    """Read the shape from an npy header, and check it against the file size."""
    shape, dtype = read_array_header(file)
    if dtype.kind not in "fiu":
        raise DataError(
            f"{where} is an array of {dtype}; a signal must be real numbers, float or integer "
            "(object arrays are never unpickled). Save it again with array.astype('float32')."
        )
    expected = file.tell() + math.prod(shape) * dtype.itemsize
    if any(n < 0 for n in shape) or size != expected:
        raise UnreadableError(
            f"{where} is broken: shape {shape} of {dtype} takes {expected} bytes, it has {size}. "
            "Write or copy it again, or exclude it from the folder or manifest."
        )
    return tuple(int(n) for n in shape)


def _choose_member(
    stated: str | None,
    spellings: Sequence[str],
    names: Sequence[str],
    key: str,
    entry: ManifestEntry,
    path: Path,
) -> str | None:
    """Return the npz member that the manifest names, else the one with a default name."""
    if stated is not None:
        if stated in names:
            return stated
        raise DataError(
            f"{entry.label}: {path} has no member {stated!r}; it has {abbreviate(names)}."
        )
    found = [name for name in spellings if name in names]
    if len(found) > 1:
        raise DataError(
            f"{path} has {' and '.join(found)}, each of which may state {key!r}; state it in a "
            "manifest, or keep one of them."
        )
    return found[0] if found else None


def _read_texts(archive: zipfile.ZipFile, name: str, max_values: int) -> tuple[str, ...]:
    return tuple(str(value) for value in member_values(archive, name, max_values).ravel().tolist())


def _parse_single_rate(values: tuple[str, ...], path: Path) -> float:
    try:
        rates_hz = {float(value) for value in values}
    except ValueError:
        rates_hz = set()
    if len(rates_hz) != 1:
        raise DataError(
            f"{path}: its sampling rate reads {', '.join(values)[:80] or 'nothing'}; one number in "
            "samples per second is expected."
        )
    return rates_hz.pop()

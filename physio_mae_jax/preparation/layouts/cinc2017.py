"""The PhysioNet/CinC Challenge 2017 (Clifford et al. 2017): short ECGs of a hand-held device.

The training set is read from a folder ``training2017`` or PhysioNet's ``training/A00``... . Labels
are those of ``REFERENCE-v3.csv`` (the third revision) if present, else of ``REFERENCE.csv``.
Checksum 0 in a header means that there is none; other checksums are verified. Variant 'flac' reads
a packed copy of a part of the set at 150 Hz, with other class frequencies. The source does not
identify subjects, so each recording counts as a separate subject, except that recordings of the
packed copy with identical signals share one.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError, name_file_in_errors
from physio_mae_jax.data.formats.wfdb_header import read_header
from physio_mae_jax.data.formats.wfdb_record import read_full_record
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.packed_flac import (
    check_length,
    check_rows,
    packed_table,
    read_values,
)
from physio_mae_jax.preparation.layouts.several_forms import SeveralForms
from physio_mae_jax.preparation.layouts.signal_copies import COPY, mark_copies
from physio_mae_jax.preparation.recording import (
    LabelTask,
    Recording,
    RecordRef,
    TrainingDefaults,
    reject_duplicates,
)
from physio_mae_jax.signals.units import canonical_unit

CLASSES = ("normal", "af", "other", "noisy")
_CLASS_BY_SYMBOL = {"N": "normal", "A": "af", "O": "other", "~": "noisy"}
_REFERENCES = ("REFERENCE-v3.csv", "REFERENCE.csv")
_RATE_HZ = 300.0
_PACKED = "cinc2017_150hz"
_UNITS_PER_MV = 1000
_ROWS = ("rec", "label", "length", "signal_group")


@dataclasses.dataclass(frozen=True)
class Cinc2017(SeveralForms):
    """Layout of the challenge: ``A00001.hea`` and ``.mat`` pairs with a table of labels.

    With ``form`` 'flac', a packed copy instead.
    """

    name = "cinc2017"
    defaults = TrainingDefaults(channels="I", max_window_seconds=9.0, task="rhythm")
    description = "PhysioNet/CinC Challenge 2017: single-lead ECGs of 9 to 61 s with rhythm labels."
    homepage = "https://physionet.org/content/challenge-2017/"
    citation = "Clifford et al., AF classification from a short single lead ECG recording, 2017"
    license = "ODC-BY 1.0"
    expected_channels = ("I",)
    collected_form = "flac"
    published_download = "https://physionet.org/files/challenge-2017/1.0.0/ (0.2 GB)"
    source_filters = "band-pass of the AliveCor device"
    collected_filters = "resampled from 300 to 150 Hz"
    tasks = (
        LabelTask(
            name="rhythm",
            classes=CLASSES,
            exclusive=True,
            description="Normal rhythm, atrial fibrillation, another rhythm, or too noisy to say.",
        ),
    )

    def find(self, source: Path) -> Sequence[RecordRef]:
        """List the rows of the label table, see ``DatasetLayout``."""
        if self.is_collected:
            return _find_packed(source)
        headers = {path.stem: path.relative_to(source) for path in sorted(source.rglob("A*.hea"))}
        if not headers:
            raise DataError(
                f"{source} contains no headers such as A00001.hea; give the folder that contains "
                "training2017."
            )
        table = _find_reference(source)
        letters = _read_reference(table)
        unlabeled = sorted(set(headers) - {record for record, _ in letters})
        if unlabeled:
            raise DataError(
                f"{table} has no row for {len(unlabeled)} recordings ({', '.join(unlabeled[:5])}"
                "); use the table of the same revision, or remove their files."
            )
        refs = []
        for record, letter in letters:
            # A row without files is reported when its recording is read.
            path = headers.get(record, next(iter(headers.values())).with_name(f"{record}.hea"))
            refs.append(
                RecordRef(
                    record_id=record,
                    subject_id=record,
                    files=(path.as_posix(), path.with_suffix(".mat").as_posix()),
                    details={"rhythm": _CLASS_BY_SYMBOL[letter]},
                )
            )
        reject_duplicates(refs, str(table))
        return refs

    def read(self, source: Path, ref: RecordRef) -> Recording:
        """Read a recording, see ``DatasetLayout``."""
        if self.is_collected:
            signal, rate_hz = _read_packed(source, ref)
        else:
            signal, rate_hz = _read_record(source / ref.files[0]), _RATE_HZ
        return Recording(
            signal=signal,
            channels=("I",),
            units=("mV",),
            sampling_rate_hz=rate_hz,
            labels={"rhythm": self.tasks[0].encode([ref.details["rhythm"]])},
            attributes={"subject_known": False},
            conversions=(COPY,) if ref.details.get("has_copies") else (),
        )


def _read_record(path: Path) -> np.ndarray:
    """Read the signal [1, n] of a record in mV."""
    header = read_header(path)
    if (
        header.channels not in (("ECG",), ("I",))
        or header.frame_rate_hz != _RATE_HZ
        or canonical_unit(header.units[0]) != "mV"
    ):
        raise UnreadableError(
            f"{path} names the signals {', '.join(header.channels) or 'none'} in "
            f"{', '.join(header.units)} at {header.frame_rate_hz:g} Hz; one ECG in mV at "
            f"{_RATE_HZ:g} Hz is expected. Copy it again, or exclude it."
        )
    return read_full_record(path).signal


def _find_reference(source: Path) -> Path:
    for name in _REFERENCES:
        found = sorted(source.rglob(name))
        if len(found) > 1:
            raise DataError(
                f"{source} contains several label tables: {', '.join(map(str, found))}; keep one."
            )
        if found:
            return found[0]
    raise DataError(
        f"{source} contains neither {' nor '.join(_REFERENCES)}, the label tables; copy one there."
    )


def _read_reference(path: Path) -> list[tuple[str, str]]:
    """Return record and letter of each line such as 'A00001,N'."""
    with name_file_in_errors(path, "lines such as 'A00001,N'", (OSError, ValueError)):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        record, _, letter = (part.strip() for part in line.partition(","))
        if not record or letter not in _CLASS_BY_SYMBOL:
            raise DataError(
                f"{path}, line {number} reads {line.strip()[:60]!r}; expected a record and one of "
                f"{', '.join(_CLASS_BY_SYMBOL)}, such as 'A00001,N'."
            )
        rows.append((record, letter))
    return rows


def _packed(source: Path) -> Mapping[str, np.ndarray]:
    path = source / f"{_PACKED}.npz"
    arrays = packed_table(
        path, (*_ROWS, "fs"), "the packed recordings; for training2017 prepare 'cinc2017'"
    )
    check_rows(path, arrays, _ROWS)
    unknown = sorted(set(arrays["label"].tolist()) - set(_CLASS_BY_SYMBOL))
    if unknown or (arrays["length"] <= 0).any():
        raise UnreadableError(
            f"{path} has the labels {', '.join(unknown) or 'expected'} and lengths from "
            f"{arrays['length'].min()}; labels are {', '.join(_CLASS_BY_SYMBOL)}, and lengths are "
            "above 0."
        )
    return arrays


def _find_packed(source: Path) -> list[RecordRef]:
    """List the packed recordings; the first of those with an identical signal is the subject."""
    arrays = _packed(source)
    lengths = arrays["length"].astype(np.int64)
    check_length(source / f"{_PACKED}.flac", int(lengths.sum()))
    groups = arrays["signal_group"].tolist()
    first_of: dict[int, str] = {}
    refs = []
    for row, (record, letter, stop) in enumerate(
        zip(arrays["rec"].tolist(), arrays["label"].tolist(), np.cumsum(lengths), strict=True)
    ):
        refs.append(
            RecordRef(
                record_id=record,
                subject_id=first_of.setdefault(groups[row], record),
                files=(f"{_PACKED}.flac", f"{_PACKED}.npz"),
                details={
                    "rhythm": _CLASS_BY_SYMBOL[letter],
                    "start": int(stop - lengths[row]),
                    "stop": int(stop),
                },
            )
        )
    reject_duplicates(refs, str(source / f"{_PACKED}.npz"))
    return mark_copies(refs)


def _read_packed(source: Path, ref: RecordRef) -> tuple[np.ndarray, float]:
    values = read_values(source / ref.files[0], ref.details["start"], ref.details["stop"])
    return values[None] / np.float32(_UNITS_PER_MV), float(_packed(source)["fs"])

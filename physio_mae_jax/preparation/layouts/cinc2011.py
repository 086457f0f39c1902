"""The PhysioNet/CinC Challenge 2011 (Silva et al. 2011): quality of twelve-lead ECGs from a phone.

Only set a is read, since its labels are published. Variant 'wfdb' reads the ``set-a`` of PhysioNet,
500 Hz, with its lists ``RECORDS-acceptable`` and ``RECORDS-unacceptable``; 'flac' reads a packed
copy at 250 Hz. Some recordings are copies of one signal, most of them flat in every lead. The
source does not identify subjects: each signal counts as a subject, so that a split never separates
copies.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError, name_file_in_errors
from physio_mae_jax.data.formats.wfdb_header import WfdbHeader, read_header
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.packed_flac import (
    check_length,
    read_row,
)
from physio_mae_jax.preparation.layouts.several_forms import SeveralForms
from physio_mae_jax.preparation.layouts.signal_copies import COPY, mark_copies
from physio_mae_jax.preparation.layouts.twelve_leads import packed_twelve_leads, read_twelve_leads
from physio_mae_jax.preparation.recording import (
    SEXES,
    LabelTask,
    Recording,
    RecordRef,
    TrainingDefaults,
    reject_duplicates,
    require_file,
)
from physio_mae_jax.signals.channels import TWELVE_LEADS

CLASSES = ("unacceptable", "acceptable")
_PACKED = "cinc2011_seta_250hz"
_ROWS = ("rec", "acceptable", "signal_group")
_NO_LABEL = -1
_AGE = re.compile(r"\bage\W*(\d+)", re.IGNORECASE)
_SEX = re.compile(r"\b(?:sex|gender)\W*([MF])", re.IGNORECASE)
# Ages over 89 are stored as 90, unknown ages as 0.
_OLDEST = 90


@dataclasses.dataclass(frozen=True)
class Cinc2011(SeveralForms):
    """Layout of set a of the challenge, form 'wfdb' or 'flac'."""

    form: str = "wfdb"

    name = "cinc2011"
    defaults = TrainingDefaults(channels="12_lead", max_window_seconds=10.0, task="quality")
    description = (
        "PhysioNet/CinC Challenge 2011, set a: 12-lead ECGs of 10 s from a phone, with their "
        "quality; copies of one signal count as one subject."
    )
    homepage = "https://physionet.org/content/challenge-2011/"
    citation = "Silva et al., Improving the quality of ECGs collected using mobile phones, 2011"
    license = "ODC-BY 1.0"
    expected_channels = TWELVE_LEADS
    collected_form = "flac"
    published_download = "https://physionet.org/files/challenge-2011/1.0.0/ (0.12 GB)"
    source_filters = "bandwidth of the device, 0.05 to 100 Hz"
    collected_filters = "resampled from 500 to 250 Hz"
    needed_files = ("set-a/*.hea", "set-a/*.dat", "set-a/RECORDS*")
    tasks = (
        LabelTask(
            name="quality",
            classes=CLASSES,
            exclusive=True,
            description="Whether the ECG is good enough to be interpreted.",
        ),
    )

    def find(self, source: Path) -> Sequence[RecordRef]:
        """List the recordings of set a, see ``DatasetLayout``."""
        refs = _find_packed(source) if self.is_collected else _find_records(source)
        reject_duplicates(refs, str(source))
        return mark_copies(refs)

    def read(self, source: Path, ref: RecordRef) -> Recording:
        """Read a recording, see ``DatasetLayout``."""
        read = _read_packed if self.is_collected else _read_record
        signal, rate_hz, attributes = read(source, ref)
        quality = ref.details["quality"]
        return Recording(
            signal=signal,
            channels=TWELVE_LEADS,
            units=("mV",) * len(TWELVE_LEADS),
            sampling_rate_hz=rate_hz,
            labels={"quality": self.tasks[0].encode([quality])} if quality else {},
            attributes={"subject_known": False, **attributes},
            conversions=(COPY,) if ref.details["has_copies"] else (),
        )


def _find_records(source: Path) -> list[RecordRef]:
    """List the headers of ``set-a``, with the labels of its two lists."""
    folders = sorted({path.parent for path in source.rglob("RECORDS-acceptable")})
    if len(folders) != 1:
        raise DataError(
            f"{source} contains {len(folders)} lists RECORDS-acceptable; expected one. Give the "
            "folder that contains set-a with its lists and headers."
        )
    folder = folders[0]
    labels: dict[str, str] = {}
    for quality in CLASSES:
        for record in _read_list(folder / f"RECORDS-{quality}"):
            if labels.setdefault(record, quality) != quality:
                raise DataError(
                    f"{folder} lists {record} both as acceptable and as unacceptable; copy its two "
                    "lists again."
                )
    headers = {path.stem: path for path in sorted(folder.glob("*.hea"))}
    # Missing files of a record are reported when it is read.
    names = sorted(set(headers) | set(labels))
    first_with: dict[tuple[tuple[int, int], ...], str] = {}
    refs = []
    for name in names:
        path = (folder / f"{name}.hea").relative_to(source)
        sums = _sums(read_header(headers[name])) if name in headers else ()
        refs.append(
            RecordRef(
                record_id=name,
                subject_id=first_with.setdefault(sums, name) if sums else name,
                files=(path.as_posix(), path.with_suffix(".dat").as_posix()),
                details={"quality": labels.get(name, "")},
            )
        )
    return refs


def _sums(header: WfdbHeader) -> tuple[tuple[int, int], ...]:
    """Return first value and checksum of each lead, equal for equal signals; () if not stated.

    Twelve 16-bit checksums are not equal by chance.
    """
    sums = [(signal.initial_value, signal.checksum) for signal in header.signals]
    return tuple((first, total) for first, total in sums if total is not None)


def _read_list(path: Path) -> list[str]:
    require_file(path, "a list of records of set a")
    with name_file_in_errors(path, "one record per line", (OSError, ValueError)):
        return path.read_text(encoding="utf-8-sig").split()


def _read_record(source: Path, ref: RecordRef) -> tuple[np.ndarray, float, dict[str, str | float]]:
    path = source / ref.files[0]
    signal, record = read_twelve_leads(path)
    return signal, record.sampling_rate_hz, _subject_info(record.comments)


def _subject_info(comments: Sequence[str]) -> dict[str, str | float]:
    text = " ".join(comments)
    attributes: dict[str, str | float] = {}
    if (age := _AGE.search(text)) and int(age[1]):
        attributes["age"] = "90+" if int(age[1]) >= _OLDEST else float(age[1])
    if sex := _SEX.search(text):
        attributes["sex"] = SEXES[sex[1].upper()]
    return attributes


def _packed(source: Path) -> Mapping[str, np.ndarray]:
    path = source / f"{_PACKED}.npz"
    arrays = packed_twelve_leads(
        path,
        _ROWS,
        ("uv_per_unit", "fs"),
        "the packed set a; for PhysioNet's set-a prepare 'cinc2011/wfdb'",
    )
    if not np.isin(arrays["acceptable"], (_NO_LABEL, *range(len(CLASSES)))).all():
        raise UnreadableError(
            f"{path}: 'acceptable' has {', '.join(map(str, np.unique(arrays['acceptable'])))}; "
            "1 (acceptable), 0 (unacceptable) and -1 (no label) are expected."
        )
    return arrays


def _find_packed(source: Path) -> list[RecordRef]:
    arrays = _packed(source)
    check_length(source / f"{_PACKED}.flac", int(np.prod(arrays["shape"])))
    return [
        RecordRef(
            record_id=str(record),
            subject_id=str(group),
            files=(f"{_PACKED}.flac", f"{_PACKED}.npz"),
            details={"row": row, "quality": "" if label == _NO_LABEL else CLASSES[label]},
        )
        for row, (record, label, group) in enumerate(
            zip(*(arrays[name].tolist() for name in _ROWS), strict=True)
        )
    ]


def _read_packed(source: Path, ref: RecordRef) -> tuple[np.ndarray, float, dict[str, str | float]]:
    arrays = _packed(source)
    shape = arrays["shape"].tolist()[1:]
    values = read_row(source / ref.files[0], ref.details["row"], shape)
    microvolts = values * np.float32(arrays["uv_per_unit"])
    return microvolts / np.float32(1000), float(arrays["fs"]), {}

"""Brugada-HUCA (Costa Cortez and Garcia Iglesias 2026): twelve-lead ECGs of Brugada syndrome.

Variant 'wfdb' reads PhysioNet's folder, ``metadata.csv`` and ``files/<id>/<id>.hea``; 'flac' reads
a packed copy. Diagnoses are 0 (no Brugada syndrome), 1 (Brugada syndrome) and 2 (seven subjects,
which publications interpret differently); training uses the first two classes by default. Four
pairs of ids have identical signals: the ids of a pair count as one subject, so that a split never
separates them.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.packed_flac import (
    check_length,
    read_row,
)
from physio_mae_jax.preparation.layouts.several_forms import SeveralForms
from physio_mae_jax.preparation.layouts.twelve_leads import packed_twelve_leads, read_twelve_leads
from physio_mae_jax.preparation.recording import (
    LabelTask,
    Recording,
    RecordRef,
    TrainingDefaults,
    reject_duplicates,
    require_file,
)
from physio_mae_jax.preparation.tables import read_table
from physio_mae_jax.signals.channels import TWELVE_LEADS

CLASSES = ("no_brugada", "brugada", "other")
# Id -> id with the same signal.
SAME_SIGNAL = {"844915": "841869", "1220716": "972330", "1366050": "1228746", "1307673": "1303729"}
_COPY = "signal identical to that of another id: both count as one subject"
_PACKED = "brugada363_100hz"
_LABELS = ("brugada", "basal_pattern", "sudden_death")
_RATE_HZ = 100.0


@dataclasses.dataclass(frozen=True)
class Brugada(SeveralForms):
    """Layout of Brugada-HUCA, form 'wfdb' or 'flac'."""

    form: str = "wfdb"

    name = "brugada"
    defaults = TrainingDefaults(
        channels="12_lead",
        max_window_seconds=12.0,
        task="brugada",
        classes="no_brugada,brugada",
    )
    description = (
        "Brugada-HUCA: twelve-lead ECGs of 12 s of 363 ids, four pairs of which have identical "
        "signals and count as one subject each."
    )
    homepage = "https://physionet.org/content/brugada-huca/"
    citation = (
        "Costa Cortez and Garcia Iglesias, Brugada-HUCA: 12-lead ECG recordings for the study of "
        "Brugada syndrome, 2026"
    )
    license = "CC BY-SA 4.0"
    expected_channels = TWELVE_LEADS
    collected_form = "flac"
    tasks = (
        LabelTask(
            name="brugada",
            classes=CLASSES,
            exclusive=True,
            description="Diagnosis of Brugada syndrome: 0, 1 and 2 of the source.",
        ),
        LabelTask(
            name="basal_pattern",
            classes=("no", "yes"),
            exclusive=True,
            description="Whether the baseline ECG is pathological.",
        ),
        LabelTask(
            name="sudden_death",
            classes=("no", "yes"),
            exclusive=True,
            description="Sudden cardiac death of the subject.",
        ),
    )

    def find(self, source: Path) -> Sequence[RecordRef]:
        """List the rows of the table, see ``DatasetLayout``."""
        refs = _find_packed(source) if self.is_collected else _find_records(source)
        reject_duplicates(refs, str(source))
        return refs

    def read(self, source: Path, ref: RecordRef) -> Recording:
        """Read a recording, see ``DatasetLayout``."""
        signal = _read_packed(source, ref) if self.is_collected else _read_record(source, ref)
        return Recording(
            signal=signal,
            channels=TWELVE_LEADS,
            units=("mV",) * len(TWELVE_LEADS),
            sampling_rate_hz=_RATE_HZ,
            labels={
                task.name: task.encode([task.classes[ref.details[task.name]]])
                for task in self.tasks
            },
            conversions=(_COPY,) if ref.details["has_copy"] else (),
        )


def _ref(
    patient: str, files: tuple[str, ...], labels: Mapping[str, int], where: str, row: int = 0
) -> RecordRef:
    for name, most in zip(_LABELS, (2, 1, 1), strict=True):
        if not 0 <= labels[name] <= most:
            raise DataError(
                f"{where}: {name} of {patient} is {labels[name]}; 0 to {most} is expected. Copy "
                "the table again."
            )
    subject = SAME_SIGNAL.get(patient, patient)
    return RecordRef(
        record_id=patient,
        subject_id=subject,
        files=files,
        details={
            **labels,
            "row": row,
            "has_copy": patient in SAME_SIGNAL or patient in SAME_SIGNAL.values(),
        },
    )


def _find_records(source: Path) -> list[RecordRef]:
    table = require_file(
        source / "metadata.csv", "the table of Brugada-HUCA; a packed copy is 'brugada/flac'"
    )
    refs = []
    for row in read_table(table, ("patient_id", *_LABELS)):
        patient = row["patient_id"]
        folder = f"files/{patient}"
        labels = {name: _whole(row[name], f"{table}: {name} of {patient}") for name in _LABELS}
        files = (f"{folder}/{patient}.hea", f"{folder}/{patient}.dat")
        refs.append(_ref(patient, files, labels, str(table)))
    return refs


def _whole(text: str, where: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise DataError(f"{where} reads {text[:40]!r}; a whole number is expected.")
    return int(text)


def _read_record(source: Path, ref: RecordRef) -> np.ndarray:
    path = require_file(source / ref.files[0], "a header of Brugada-HUCA")
    return read_twelve_leads(path, _RATE_HZ)[0]


def _packed(source: Path) -> Mapping[str, np.ndarray]:
    path = source / f"{_PACKED}.npz"
    arrays = packed_twelve_leads(
        path,
        ("patient", *_LABELS),
        ("fs", "adu_per_mV"),
        "the packed recordings; for PhysioNet's folder prepare 'brugada/wfdb'",
    )
    if arrays["fs"] != _RATE_HZ or not arrays["adu_per_mV"] > 0:
        raise UnreadableError(
            f"{path} states {arrays['fs']} Hz and {arrays['adu_per_mV']} units per mV; "
            f"{_RATE_HZ:g} Hz and a number above 0 are expected. Copy the file again."
        )
    return arrays


def _find_packed(source: Path) -> list[RecordRef]:
    arrays = _packed(source)
    check_length(source / f"{_PACKED}.flac", int(np.prod(arrays["shape"])))
    columns = {name: arrays[name].tolist() for name in _LABELS}
    return [
        _ref(
            str(patient),
            (f"{_PACKED}.flac", f"{_PACKED}.npz"),
            {name: int(columns[name][row]) for name in _LABELS},
            str(source / f"{_PACKED}.npz"),
            row,
        )
        for row, patient in enumerate(arrays["patient"].tolist())
    ]


def _read_packed(source: Path, ref: RecordRef) -> np.ndarray:
    arrays = _packed(source)
    shape = arrays["shape"].tolist()[1:]
    values = read_row(source / ref.files[0], ref.details["row"], shape)
    return values.astype(np.float32) / np.float32(arrays["adu_per_mV"])

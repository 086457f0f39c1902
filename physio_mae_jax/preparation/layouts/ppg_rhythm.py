"""PPG with six rhythms (Liu et al. 2022): segments of ten seconds, recorded during ablation.

Variant 'mat' reads the published folder ``valid_testDataset``, one MATLAB file per patient with
``ppgseg`` [segments, 1000] and ``labels`` [segments, 1]; 'flac' reads a packed copy of some
patients. The authors scaled each segment to the range 0 to 1, so amplitudes are not comparable.
Segments are in order of time, and consecutive ones are similar; splits are by patient, which the
file name identifies.
"""

import dataclasses
import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.vendors.mat_v5 import read_arrays
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.packed_flac import (
    check_length,
    check_rows,
    packed_table,
    read_row,
)
from physio_mae_jax.preparation.layouts.several_forms import SeveralForms
from physio_mae_jax.preparation.recording import (
    LabelTask,
    Recording,
    RecordRef,
    TrainingDefaults,
    reject_duplicates,
)

# In the order of the labels of the source.
CLASSES = ("sinus", "pvc", "pac", "vt", "svt", "af")
_RATE_HZ = 100.0
_NUM_SAMPLES = 1000
_PACKED = "ppg6rhythm"
_MEMBERS = ("label", "patient", "classes", "fs", "scale", "shape")


@dataclasses.dataclass(frozen=True)
class PpgRhythm(SeveralForms):
    """Layout of the segments, form 'mat' or 'flac'; each segment is a recording."""

    form: str = "mat"

    name = "ppg_rhythm"
    defaults = TrainingDefaults(channels="PPG", max_window_seconds=10.0, task="rhythm")
    description = "PPG of 10 s in six rhythms, by patient (Liu et al. 2022)."
    homepage = "https://github.com/zdzdliu/PPGArrhythmiaDetection"
    citation = (
        "Liu et al., Multiclass arrhythmia detection and classification from photoplethysmography "
        "signals using a deep convolutional neural network, 2022"
    )
    license = "for research with citation; redistribution not granted"
    source_filters = "each segment scaled to 0 to 1 by the authors"
    expected_channels = ("PPG",)
    collected_form = "flac"
    tasks = (
        LabelTask(
            name="rhythm",
            classes=CLASSES,
            exclusive=True,
            description="Rhythm of the segment, by cardiologists from the ECG.",
        ),
        LabelTask(
            name="af",
            classes=("other", "af"),
            exclusive=True,
            description="Atrial fibrillation, or any other of the six rhythms.",
        ),
    )

    def find(self, source: Path) -> Sequence[RecordRef]:
        """List the segments of all patients, see ``DatasetLayout``."""
        refs = _find_packed(source) if self.is_collected else _find_patients(source)
        reject_duplicates(refs, str(source))
        return refs

    def read(self, source: Path, ref: RecordRef) -> Recording:
        """Read a segment, see ``DatasetLayout``."""
        path, row = source / ref.files[0], ref.details["row"]
        values = _read_packed(path, row) if self.is_collected else _patient(path)[0][row]
        rhythm = CLASSES[ref.details["label"]]
        rhythm_task, af_task = self.tasks
        return Recording(
            signal=np.asarray(values, np.float32)[None],
            channels=("PPG",),
            units=("",),
            sampling_rate_hz=_RATE_HZ,
            labels={
                "rhythm": rhythm_task.encode([rhythm]),
                "af": af_task.encode(["af" if rhythm == "af" else "other"]),
            },
            attributes={"segment": ref.details["segment"]},
        )


def _refs(
    patients: Sequence[str], labels: Sequence[int], files: tuple[str, ...]
) -> list[RecordRef]:
    """List the recordings of rows; segments are numbered within each patient, from 1."""
    seen: Counter[str] = Counter()
    refs = []
    for row, (patient, label) in enumerate(zip(patients, labels, strict=True)):
        seen[patient] += 1
        refs.append(
            RecordRef(
                record_id=f"{patient}_{seen[patient]:04d}",
                subject_id=patient,
                files=files,
                details={"row": row, "label": int(label), "segment": seen[patient]},
            )
        )
    return refs


def _find_patients(source: Path) -> list[RecordRef]:
    paths = sorted(source.rglob("MPA_*.mat"))
    if not paths:
        raise DataError(
            f"{source} contains no files such as MPA_181220181216.mat; give the folder that "
            "contains valid_testDataset, or prepare the packed copy as ppg_rhythm/flac."
        )
    refs = []
    for path in paths:
        _, labels = _patient(path)
        file = path.relative_to(source).as_posix()
        refs += _refs([path.stem] * len(labels), labels.tolist(), (file,))
    return refs


def _patient(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return segments [n, 1000] float64 and labels [n] of a patient."""
    status = path.stat()
    return _load_mat(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=1)
def _load_mat(path: Path, changed_ns: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Load a file; cached for the next segment of the same patient."""
    segments, labels = read_arrays(path, ("ppgseg", "labels"))
    labels = labels.reshape(-1)
    if segments.shape != (len(labels), _NUM_SAMPLES):
        raise UnreadableError(
            f"{path} has segments of shape {segments.shape} and {len(labels)} labels; a row of "
            f"{_NUM_SAMPLES} numbers for each label is expected. Download it again."
        )
    _check_labels(path, labels)
    return segments, labels.astype(np.int64)


def _check_labels(path: Path, labels: np.ndarray) -> None:
    if not np.isin(labels, range(len(CLASSES))).all():
        raise UnreadableError(
            f"{path} has the labels {', '.join(map(str, np.unique(labels)))}; 0 to "
            f"{len(CLASSES) - 1} are expected. Copy it again."
        )


def _packed(path: Path) -> Mapping[str, np.ndarray]:
    return packed_table(
        path, _MEMBERS, "the packed segments; for .mat files prepare 'ppg_rhythm/mat'"
    )


def _find_packed(source: Path) -> list[RecordRef]:
    path = source / f"{_PACKED}.npz"
    arrays = _packed(path)
    rows = check_rows(path, arrays, ("label", "patient"))
    shape, rate_hz = tuple(arrays["shape"].tolist()), float(arrays["fs"])
    classes = tuple(str(name).lower() for name in arrays["classes"])
    if shape != (rows, _NUM_SAMPLES) or rate_hz != _RATE_HZ or classes != CLASSES:
        raise UnreadableError(
            f"{path} has shape {shape} at {rate_hz:g} Hz of classes {', '.join(classes)}; "
            f"({rows}, {_NUM_SAMPLES}) at {_RATE_HZ:g} Hz of {', '.join(CLASSES)} is expected."
        )
    _check_labels(path, arrays["label"])
    check_length(path.with_suffix(".flac"), rows * _NUM_SAMPLES)
    return _refs(
        arrays["patient"].tolist(), arrays["label"].tolist(), (f"{_PACKED}.flac", path.name)
    )


def _read_packed(path: Path, row: int) -> np.ndarray:
    values = read_row(path, row, (_NUM_SAMPLES,))
    return values / np.float32(_packed(path.with_suffix(".npz"))["scale"])

"""The MIMIC PERform datasets (Charlton et al. 2022): PPG, ECG and respiration from MIMIC-III.

Both published forms are read: a folder of ``mimic_perform_af_001_data.csv`` and ``..._fix.txt``
files, and one ``mimic_perform_af_data.mat`` per data set. If both are present, the CSV files are
used. ECG is in mV; PPG and respiration have no unit. The file names of the AF data set state the
rhythm; the training and testing data sets have no such label.
"""

import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError, name_file_in_errors
from physio_mae_jax.data.formats.vendors.mat_v5 import read_struct_array
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.signal_table import read_signal_table
from physio_mae_jax.preparation.recording import (
    DatasetLayout,
    LabelTask,
    Recording,
    RecordRef,
    TrainingDefaults,
    reject_duplicates,
    require_file,
)
from physio_mae_jax.preparation.tables import parse_fields

CLASSES = ("non_af", "af")
_CSV = re.compile(r"(mimic_perform_(\w+?))_\d+_data\.csv")
_MAT = re.compile(r"(mimic_perform_(\w+?))_data\.mat")
# Fields of an element of the .mat file -> channel and unit.
_SIGNALS = {
    "ppg": ("PPG", ""),
    "ekg": ("ECG", "mV"),
    "imp": ("RESP", ""),
    "resp": ("RESP", ""),
    "abp": ("ABP", "mmHg"),
}
_UNITS = dict(_SIGNALS.values())


@dataclasses.dataclass(frozen=True)
class MimicPerform(DatasetLayout):
    """Layout of one or more MIMIC PERform data sets in a folder."""

    name = "mimic3"
    defaults = TrainingDefaults(channels="ecg_ppg", task="rhythm")
    variant = "perform"
    description = "MIMIC PERform: PPG, ECG and respiration, with and without atrial fibrillation."
    homepage = "https://ppg-beats.readthedocs.io/en/latest/datasets/mimic_perform_af/"
    citation = "Charlton et al., Detecting beats in the photoplethysmogram, 2022"
    license = "ODbL 1.0"
    download = "https://doi.org/10.5281/zenodo.6807402"
    expected_channels = ("PPG", "ECG")
    tasks = (
        LabelTask(
            name="rhythm",
            classes=CLASSES,
            exclusive=True,
            description="Whether the recording is of atrial fibrillation, by the name of its file.",
        ),
    )

    def find(self, source: Path) -> Sequence[RecordRef]:
        """List the recordings of both forms, see ``DatasetLayout``."""
        refs = []
        in_csv = set()
        for path in sorted(source.rglob("mimic_perform_*_data.csv")):
            if match := _CSV.fullmatch(path.name):
                in_csv.add(match[1])
                refs.append(_ref_from_table(path, source, match[2]))
        for path in sorted(source.rglob("mimic_perform_*_data.mat")):
            match = _MAT.fullmatch(path.name)
            if match and match[1] not in in_csv:
                refs += _refs_from_mat(path, source, match)
        if not refs:
            raise DataError(
                f"{source} contains no files such as mimic_perform_af_001_data.csv or "
                "mimic_perform_af_data.mat; unpack the downloaded files there, or check --source."
            )
        reject_duplicates(refs, str(source))
        return refs

    def read(self, source: Path, ref: RecordRef) -> Recording:
        """Read a recording, see ``DatasetLayout``."""
        path = source / ref.files[0]
        if path.suffix == ".csv":
            rate_hz = ref.details["sampling_rate_hz"]
            signal, channels = read_signal_table(path, rate_hz, "its ..._fix.txt")
        else:
            signal, channels, rate_hz = _read_element(path, ref.details["element"])
        rhythm = ref.details["rhythm"]
        return Recording(
            signal=signal,
            channels=channels,
            units=tuple(_UNITS.get(name, "") for name in channels),
            sampling_rate_hz=rate_hz,
            labels={"rhythm": self.tasks[0].encode([rhythm])} if rhythm else {},
            attributes={key: ref.details[key] for key in ("original_record", "group")},
        )


def _ref_from_table(path: Path, source: Path, data_set: str) -> RecordRef:
    record_id = path.name.removesuffix("_data.csv")
    fix = require_file(path.with_name(f"{record_id}_fix.txt"), "subject and rate of the recording")
    with name_file_in_errors(
        fix, "lines such as 'Sampling frequency: 125 Hz'", (OSError, ValueError)
    ):
        fixed = parse_fields(fix.read_text(encoding="utf-8-sig").splitlines())
        rate_hz = float(fixed.get("Sampling frequency", "").removesuffix("Hz"))
    return _ref(
        record_id,
        fixed.get("Original Subject ID", ""),
        data_set,
        fix,
        (path.relative_to(source).as_posix(), fix.relative_to(source).as_posix()),
        {
            "sampling_rate_hz": rate_hz,
            "original_record": fixed.get("Original Recording ID", ""),
            "group": fixed.get("Group", ""),
        },
    )


def _refs_from_mat(path: Path, source: Path, match: re.Match[str]) -> list[RecordRef]:
    refs = []
    for number, element in enumerate(_elements(path), start=1):
        fixed = _only_struct(element.get("fix")) or {}
        refs.append(
            _ref(
                f"{match[1]}_{number:03d}",
                _text(fixed.get("subj_id")),
                match[2],
                path,
                (path.relative_to(source).as_posix(),),
                {
                    "element": number - 1,
                    "original_record": _text(fixed.get("rec_id")),
                    "group": _text(fixed.get("group")),
                },
            )
        )
    return refs


def _text(value: object) -> str:
    """Format an id that MATLAB stores as text or number; '' for an empty matrix."""
    if isinstance(value, np.ndarray) and value.size == 1:
        return str(value.item())
    return value if isinstance(value, str) else ""


def _only_struct(value: object) -> dict[str, object] | None:
    """Return the element of a 1x1 struct; None for other values, such as an empty matrix."""
    return value[0] if isinstance(value, list) and len(value) == 1 else None


def _ref(
    record_id: str,
    subject: str,
    data_set: str,
    where: Path,
    files: tuple[str, ...],
    details: Mapping[str, object],
) -> RecordRef:
    if not subject:
        raise DataError(
            f"{where} does not name the subject of {record_id}; 'Original Subject ID: ...' in "
            "..._fix.txt, or fix.subj_id in a .mat file, is expected. Download the file again."
        )
    rhythm = data_set if data_set in CLASSES else ""
    return RecordRef(
        record_id=record_id,
        subject_id=subject,
        files=files,
        details={**details, "rhythm": rhythm},
    )


def _read_element(path: Path, index: int) -> tuple[np.ndarray, tuple[str, ...], float]:
    """Return signal [M, n], channels [M] and rate of an element of a .mat file."""
    element = _elements(path)[index]
    where = f"{path}, data({index + 1})"
    parts: dict[str, np.ndarray] = {}
    rates = set()
    for key, (channel, _) in _SIGNALS.items():
        part = _only_struct(element.get(key))
        if part is None:  # an empty matrix if it was not recorded
            continue
        with name_file_in_errors(
            path,
            f"numbers in data({index + 1}).{key}.v and .fs",
            (ValueError, TypeError, LookupError),
        ):
            parts[channel] = np.atleast_1d(np.squeeze(np.asarray(part["v"], np.float32)))
            rates.add(float(np.asarray(part["fs"], np.float64).item()))
    lengths = {values.shape for values in parts.values()}
    if len(lengths) != 1 or len(rates) != 1 or len(next(iter(lengths))) != 1:
        raise UnreadableError(
            f"{where} has signals {', '.join(parts) or 'none'} of shapes "
            f"{', '.join(map(str, sorted(lengths)))} at {', '.join(map(str, sorted(rates)))} Hz; "
            "one length and one rate are expected. Download the file again."
        )
    return np.stack(list(parts.values())), tuple(parts), rates.pop()


def _elements(path: Path) -> list[dict[str, object]]:
    status = path.stat()
    return _load_mat(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=1)
def _load_mat(path: Path, changed_ns: int, size: int) -> list[dict[str, object]]:
    """Load the elements of 'data'; cached for the next recording of the same file."""
    return read_struct_array(path, "data")

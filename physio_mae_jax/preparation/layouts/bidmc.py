"""The BIDMC PPG and Respiration Dataset (Pimentel et al. 2016): 53 recordings of eight minutes.

Form 'csv' is PhysioNet's folder ``bidmc_csv``, form 'wfdb' the records beside it. A subject,
identified by a MIMIC-II id, may have several recordings. Two annotators marked the breaths
independently. Breath positions are 1-based in the CSV files (written by MATLAB) and 0-based in the
WFDB annotations; both become 0-based. CSV files state no units: as in the WFDB headers, ECG leads
are in mV and pressures in mmHg; PLETH and RESP have no unit.
"""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError, name_file_in_errors
from physio_mae_jax.data.formats.wfdb_header import read_header
from physio_mae_jax.data.formats.wfdb_record import read_full_record
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.aux_notes import read_notes
from physio_mae_jax.preparation.layouts.several_forms import SeveralForms
from physio_mae_jax.preparation.layouts.signal_table import read_signal_table
from physio_mae_jax.preparation.layouts.wfdb_recording import wfdb_recording
from physio_mae_jax.preparation.recording import (
    SEXES,
    Annotations,
    LabelTask,
    Recording,
    RecordRef,
    TrainingDefaults,
    require_file,
)
from physio_mae_jax.preparation.tables import parse_fields, read_table
from physio_mae_jax.signals.channels import is_ecg

ANNOTATORS = ("annotator_1", "annotator_2")
_RATE_HZ = 125.0
_BREATH_COLUMNS = ("breaths ann1 [signal sample no]", "breaths ann2 [signal sample no]")
_NUMERICS = {
    "HR": "heart_rate_bpm",
    "RESP": "respiration_rate_bpm",
    "SpO2": "spo2_percent",
}
_PRESSURES = ("ABP", "ART", "CVP", "PAP", "ICP")
_SUBJECT = re.compile(r"\bs\d{5}\b")
_NOTE = re.compile(r"ann(?:otator)?[ _]?([12])")


@dataclasses.dataclass(frozen=True)
class Bidmc(SeveralForms):
    """Layout of BIDMC, form 'csv' or 'wfdb'.

    The source may be ``bidmc_csv`` or its parent.
    """

    form: str = "csv"

    name = "bidmc"
    # Breaths are seen in windows of half a minute.
    defaults = TrainingDefaults(
        channels="II,PPG", task="attribute:respiration_rate_bpm", label_window_seconds=30.0
    )
    description = "BIDMC: eight minutes of ECG, PPG and respiration in intensive care."
    homepage = "https://physionet.org/content/bidmc/"
    citation = "Pimentel et al., Toward a robust estimation of respiratory rate, 2017"
    license = "ODC-BY 1.0"
    published_download = "https://physionet.org/files/bidmc/1.0.0/"
    expected_channels = ("II", "PPG", "RESP")
    tasks = (
        LabelTask(
            name="breath",
            classes=ANNOTATORS,
            level="event",
            exclusive=True,
            description="A breath in the impedance signal, by annotator.",
        ),
    )

    def find(self, source: Path) -> Sequence[RecordRef]:
        """List the recordings, see ``DatasetLayout``."""
        return _find_tables(source) if self.form == "csv" else _find_records(source)

    def read(self, source: Path, ref: RecordRef) -> Recording:
        """Read a recording with its breaths and mean numerics, see ``DatasetLayout``."""
        return _read_tables(source, ref) if self.form == "csv" else _read_record(source, ref)


def _find_tables(source: Path) -> list[RecordRef]:
    inner = source / "bidmc_csv"
    folder = inner if inner.is_dir() else source
    refs = []
    for path in sorted(folder.glob("bidmc_*_Signals.csv")):
        record_id = path.name.removesuffix("_Signals.csv")
        fixed = _read_fixed(folder / f"{record_id}_Fix.txt", record_id)
        ends = ("Signals.csv", "Fix.txt", "Numerics.csv", "Breaths.csv")
        files = [(folder / f"{record_id}_{end}").relative_to(source).as_posix() for end in ends]
        refs.append(
            RecordRef(
                record_id=record_id,
                subject_id=fixed["MIMIC II matched wdb ID"],
                files=tuple(files),
                details=_subject_attributes(
                    fixed.get("Age"), fixed.get("Gender"), fixed.get("Location")
                ),
            )
        )
    if not refs:
        raise DataError(
            f"{folder} contains no files such as bidmc_01_Signals.csv; give the folder bidmc_csv "
            "or its parent, or prepare 'bidmc/wfdb'."
        )
    return refs


def _read_fixed(path: Path, record_id: str) -> dict[str, str]:
    """Parse the 'name: value' lines of a file whose first line is the recording id."""
    require_file(path, "age, sex and subject of the recording")
    with name_file_in_errors(path, "lines such as 'Age: 65'", (OSError, ValueError)):
        first, *lines = path.read_text(encoding="utf-8-sig").splitlines() or [""]
    fixed = parse_fields(lines)
    if first.strip() != record_id:
        raise DataError(f"{path} describes {first.strip()!r}; its name implies {record_id!r}.")
    if not _SUBJECT.fullmatch(fixed.get("MIMIC II matched wdb ID", "")):
        raise DataError(
            f"{path} names the subject {fixed.get('MIMIC II matched wdb ID', '')!r}; a line such "
            "as 'MIMIC II matched wdb ID: s01241' is expected. Copy the file again."
        )
    return fixed


def _subject_attributes(
    age: str | None, sex: str | None, location: str | None
) -> dict[str, str | float]:
    """Return the known attributes; ages are numbers, or '90+'."""
    subject_info: dict[str, str | float] = {}
    if age and age.lower() != "nan":
        subject_info["age"] = float(age) if age.isdecimal() else age
    if sex and sex in SEXES:
        subject_info["sex"] = SEXES[sex]
    if location and location.lower() != "nan":
        subject_info["location"] = location
    return subject_info


def _read_tables(source: Path, ref: RecordRef) -> Recording:
    signals, _, numerics, breaths = (source / name for name in ref.files)
    signal, channels = read_signal_table(signals, _RATE_HZ, "the description of BIDMC")
    rows = read_table(require_file(breaths, "breaths of two annotators"), _BREATH_COLUMNS)
    annotations = [
        (sample - 1, label)
        for line, row in enumerate(rows, start=2)
        for label, column in enumerate(_BREATH_COLUMNS)
        if (sample := _sample(row[column], f"{breaths}, line {line}")) is not None
    ]
    table = read_table(require_file(numerics, "numerics of a monitor"), tuple(_NUMERICS))
    values = {
        name: [_number(row[name], f"{numerics}, line {i}") for i, row in enumerate(table, start=2)]
        for name in _NUMERICS
    }
    return Recording(
        signal=signal,
        channels=channels,
        units=tuple(_unit(name) for name in channels),
        sampling_rate_hz=_RATE_HZ,
        annotations={"breath": _make_breaths(annotations, signal.shape[1], breaths)},
        attributes={**ref.details, **_mean_numerics(values)},
    )


def _unit(name: str) -> str:
    if is_ecg(name):
        return "mV"
    return "mmHg" if name in _PRESSURES else ""


def _number(text: str, where: str) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        raise DataError(
            f"{where} has {text[:40]!r} where a number is expected; copy the file again."
        ) from None


def _sample(text: str, where: str) -> int | None:
    """Parse a sample number; None if the column of the other annotator is longer."""
    value = _number(text, where)
    if math.isnan(value):
        return None
    if not value.is_integer():
        raise DataError(f"{where} has {text!r} where a sample number is expected.")
    return int(value)


def _mean_numerics(values: Mapping[str, Sequence[float] | np.ndarray]) -> dict[str, float]:
    """Return the mean of each series of numerics, missing values excluded."""
    means = {}
    for name, series in values.items():
        finite = np.asarray(series, np.float64)
        finite = finite[np.isfinite(finite)]
        if len(finite):
            means[_NUMERICS[name]] = float(finite.mean())
    return means


def _make_breaths(
    annotations: Sequence[tuple[int, int]], num_samples: int, path: Path
) -> Annotations:
    """Create annotations from (sample, annotator) pairs."""
    for sample, _ in annotations:
        if not 0 <= sample < num_samples:
            raise UnreadableError(
                f"{path} has a breath at sample {sample} (0-based) of a recording with "
                f"{num_samples} samples; use both files from the same version of BIDMC."
            )
    return Annotations.from_triples([(sample, sample + 1, label) for sample, label in annotations])


def _find_records(source: Path) -> list[RecordRef]:
    refs = []
    # Headers that end in 'n' describe numerics.
    for path in sorted(p for p in source.glob("bidmc*.hea") if re.fullmatch(r"bidmc\d+", p.stem)):
        comments = " ".join(read_header(path).comments)
        subject = _SUBJECT.search(comments)
        if subject is None:
            raise DataError(
                f"{path} does not name the subject; a comment with an id of MIMIC-II "
                "such as '<source>: .../matched/s01241/' is expected. Prepare 'bidmc/csv' instead."
            )
        fields = dict(re.findall(r"<(age|sex|location)>:\s*([^\s<]+)", comments))
        refs.append(
            RecordRef(
                record_id=path.stem,
                subject_id=subject[0],
                files=(path.name, f"{path.stem}.dat", f"{path.stem}.breath", f"{path.stem}n.hea"),
                details=_subject_attributes(
                    fields.get("age"), fields.get("sex"), fields.get("location")
                ),
            )
        )
    if not refs:
        raise DataError(
            f"{source} contains no headers such as bidmc01.hea; give the folder of BIDMC's "
            "records, or prepare 'bidmc/csv'."
        )
    return refs


def _read_record(source: Path, ref: RecordRef) -> Recording:
    header, _, breaths, numerics = (source / name for name in ref.files)
    record = read_full_record(header)
    annotations: dict[str, Annotations] = {}
    if breaths.is_file():
        found = []
        for sample, note in read_notes(breaths):
            annotator = _NOTE.fullmatch(note.lower())
            if annotator is None:
                raise UnreadableError(
                    f"{breaths}: the annotation at sample {sample} has the note {note!r}; 'ann1' "
                    "or 'ann2' is expected. Copy the file again, or remove it to prepare the "
                    "recording without annotations."
                )
            found.append((sample, int(annotator[1]) - 1))
        annotations["breath"] = _make_breaths(found, record.signal.shape[1], breaths)
    means: dict[str, float] = {}
    if numerics.is_file():
        minutes = read_full_record(numerics)
        series = dict(zip((n.strip(" ,") for n in minutes.channels), minutes.signal, strict=True))
        means = _mean_numerics({name: series[name] for name in _NUMERICS if name in series})
    return wfdb_recording(
        record,
        annotations=annotations,
        attributes={**ref.details, **means},
    )

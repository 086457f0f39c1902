"""PTB-XL as published on PhysioNet (Wagner et al. 2020), at 100 or 500 Hz.

Labels are those of the published benchmark (Strodthoff et al. 2021): all statements of a record
are used, whatever their likelihood; sub- and superclasses follow from the diagnostic statements.
"""

import ast
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.wfdb_record import read_full_record
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.wfdb_recording import wfdb_recording
from physio_mae_jax.preparation.recording import (
    DatasetLayout,
    LabelTask,
    Recording,
    RecordRef,
    TrainingDefaults,
    reject_subjects_in_two_folds,
    require_file,
)
from physio_mae_jax.preparation.tables import read_table
from physio_mae_jax.signals.channels import TWELVE_LEADS
from physio_mae_jax.types import JsonObject

SUPERCLASSES = ("NORM", "MI", "STTC", "CD", "HYP")
_SUBCLASSES = (
    *("NORM", "STTC", "NST_", "IMI", "AMI", "LVH", "LAFB/LPFB", "ISC_", "IRBBB", "_AVB"),
    *("IVCD", "ISCA", "CRBBB", "CLBBB", "LAO/LAE", "ISCI", "LMI", "RVH", "RAO/RAE"),
    *("WPW", "ILBBB", "SEHYP", "PMI"),
)
_DIAGNOSTIC = (
    *("NDT", "NST_", "DIG", "LNGQT", "NORM", "IMI", "ASMI", "LVH", "LAFB", "ISC_", "IRBBB"),
    *("1AVB", "IVCD", "ISCAL", "CRBBB", "CLBBB", "ILMI", "LAO/LAE", "AMI", "ALMI", "ISCIN"),
    *("INJAS", "LMI", "ISCIL", "LPFB", "ISCAS", "INJAL", "ISCLA", "RVH", "ANEUR", "RAO/RAE"),
    *("EL", "WPW", "ILBBB", "IPLMI", "ISCAN", "IPMI", "SEHYP", "INJIN", "INJLA", "PMI"),
    *("3AVB", "INJIL", "2AVB"),
)
_FORM = (
    *("NDT", "NST_", "DIG", "LNGQT", "ABQRS", "PVC", "STD_", "VCLVH", "QWAVE", "LOWT", "NT_"),
    *("PAC", "LPR", "INVT", "LVOLT", "HVOLT", "TAB_", "STE_", "PRC(S)"),
)
_RHYTHM = (
    *("SR", "AFIB", "STACH", "SARRH", "SBRAD", "PACE", "SVARR", "BIGU", "AFLT", "SVTAC"),
    *("PSVT", "TRIGU"),
)
_ALL = tuple(dict.fromkeys((*_DIAGNOSTIC, *_FORM, *_RHYTHM)))
_KINDS = {"diagnostic": _DIAGNOSTIC, "form": _FORM, "rhythm": _RHYTHM, "all": _ALL}
# Ages over 89 are stored as 300 for anonymization.
_ANONYMIZED_AGE = 300


@dataclasses.dataclass(frozen=True)
class PtbXl(DatasetLayout):
    """Layout of PTB-XL; ``ptbxl_database.csv`` may contain a subset of the rows."""

    sampling_rate_hz: int = 100

    name = "ptbxl"
    defaults = TrainingDefaults(
        channels="12_lead", max_window_seconds=10.0, task="superclass", split_rule="fold=1-8|9|10"
    )
    description = "PTB-XL: 12-lead ECGs of ten seconds with diagnostic, form and rhythm statements."
    homepage = "https://physionet.org/content/ptb-xl/"
    citation = "Wagner et al., PTB-XL, a large publicly available electrocardiography dataset, 2020"
    license = "CC BY 4.0"
    expected_channels = TWELVE_LEADS
    tasks = (
        LabelTask(name="superclass", classes=SUPERCLASSES, description="Diagnostic superclass."),
        LabelTask(name="subclass", classes=_SUBCLASSES, description="Diagnostic subclass."),
        LabelTask(name="diagnostic", classes=_DIAGNOSTIC, description="Diagnostic statements."),
        LabelTask(name="form", classes=_FORM, description="Statements about form."),
        LabelTask(name="rhythm", classes=_RHYTHM, description="Statements about rhythm."),
        LabelTask(name="all", classes=_ALL, description="All statements."),
    )

    @property
    def variant(self) -> str:
        """'100hz' or '500hz'."""
        return f"{self.sampling_rate_hz}hz"

    @property
    def needed_files(self) -> tuple[str, ...]:
        """The two tables and the records of this rate."""
        return ("ptbxl_database.csv", "scp_statements.csv", f"records{self.sampling_rate_hz}/*")

    @property
    def download(self) -> str:
        """URL of the source; only the files of this rate are needed."""
        size = "0.5 GB" if self.sampling_rate_hz == 100 else "2.6 GB"
        return f"https://physionet.org/files/ptb-xl/1.0.3/ ({size})"

    def find(self, source: Path) -> Sequence[RecordRef]:
        """List the rows of the database, see ``DatasetLayout``."""
        database = require_file(source / "ptbxl_database.csv", "the database of PTB-XL")
        column = "filename_lr" if self.sampling_rate_hz == 100 else "filename_hr"
        needed = ("ecg_id", "patient_id", "age", "sex", "scp_codes", "strat_fold", column)
        classes = _read_statements(source / "scp_statements.csv")
        refs = []
        for line, row in enumerate(read_table(database, needed), start=2):
            codes = _parse_codes(row["scp_codes"], f"{database}, line {line}")
            for code in codes:
                if code not in classes:
                    raise DataError(
                        f"{database}, line {line}: statement {code!r} is not in "
                        "scp_statements.csv; use both files from the same version of PTB-XL."
                    )
            refs.append(
                RecordRef(
                    record_id=row["ecg_id"],
                    subject_id=_to_integer(
                        row["patient_id"], f"{database}, line {line}: patient_id"
                    ),
                    files=(f"{row[column]}.dat", f"{row[column]}.hea"),
                    details={
                        "codes": codes,
                        "superclass": sorted({classes[c][0] for c in codes if classes[c][0]}),
                        "subclass": sorted({classes[c][1] for c in codes if classes[c][1]}),
                        "fold": int(
                            _to_integer(row["strat_fold"], f"{database}, line {line}: fold")
                        ),
                        "age": row["age"],
                        "sex": row["sex"],
                    },
                )
            )
        reject_subjects_in_two_folds(
            [(ref.subject_id, ref.record_id, ref.details["fold"]) for ref in refs],
            f"{database}: ",
            "Fix strat_fold or patient_id.",
        )
        return refs

    def read(self, source: Path, ref: RecordRef) -> Recording:
        """Read a record, see ``DatasetLayout``."""
        record = read_full_record(require_file(source / ref.files[1], "a header of PTB-XL"))
        if record.sampling_rate_hz != self.sampling_rate_hz:
            raise UnreadableError(
                f"{source / ref.files[1]} has {record.sampling_rate_hz:g} samples per second; "
                f"{self.sampling_rate_hz} are expected."
            )
        details = ref.details
        labels = {
            task.name: task.encode(
                details[task.name]
                if task.name in ("superclass", "subclass")
                else [code for code in details["codes"] if code in _KINDS[task.name]]
            )
            for task in self.tasks
        }
        attributes: JsonObject = {"fold": details["fold"]}
        if details["sex"] in ("0", "1"):
            attributes["sex"] = ("male", "female")[int(details["sex"])]
        if details["age"]:
            age = float(details["age"])
            attributes["age"] = ">89" if age == _ANONYMIZED_AGE else age
        return wfdb_recording(
            record,
            labels=labels,
            attributes=attributes,
        )


def _read_statements(path: Path) -> dict[str, tuple[str, str]]:
    """Return superclass and subclass of each statement, '' for those that are not diagnostic."""
    rows = read_table(
        require_file(path, "the statements of PTB-XL"),
        ("", "diagnostic", "diagnostic_class", "diagnostic_subclass"),
    )
    classes = {}
    for row in rows:
        diagnostic = bool(row["diagnostic"]) and float(row["diagnostic"]) == 1
        pair = (row["diagnostic_class"], row["diagnostic_subclass"]) if diagnostic else ("", "")
        classes[row[""]] = pair
    return classes


def _parse_codes(text: str, where: str) -> list[str]:
    """Parse a Python dictionary {statement: likelihood}."""
    try:
        codes = ast.literal_eval(text)
        if isinstance(codes, dict) and all(isinstance(code, str) for code in codes):
            return sorted(codes)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        pass
    raise DataError(
        f"{where}: scp_codes reads {text[:60]!r}; a dictionary such as {{'NORM': 100.0}} is "
        "expected."
    )


def _to_integer(text: str, where: str) -> str:
    """Normalize '15709.0' and '15709' to the same text."""
    try:
        number = float(text)
        if math.isfinite(number) and number == int(number):
            return str(int(number))
    except ValueError:
        pass
    raise DataError(f"{where} is {text!r}; an integer is expected.")

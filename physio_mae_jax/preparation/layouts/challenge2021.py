"""The PhysioNet/CinC Challenges 2020 and 2021 (Reyna et al. 2021): twelve-lead ECGs.

Headers and ``.mat`` files may be in any folders, such as PhysioNet's ``training/georgia/g1``; the
name of a recording identifies its source. The files of 2020 are those of 2021 without
Chapman-Shaoxing and Ningbo. Labels are the SNOMED CT codes of the line
``Dx`` of a header (see ``snomed_codes``). Sources do not identify subjects, so each recording
counts as a separate subject, although PTB, PTB-XL and St Petersburg have several of some subjects.
Recordings of PTB-XL are also in the data set 'ptbxl', where the contamination check may not find
them, as subject ids and rates differ: a split such as
``source=georgia,cpsc_2018|0.2|chapman_shaoxing`` excludes them.
"""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.wfdb_record import read_full_record
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.snomed_codes import (
    SCORED,
    SCORED_CLASSES,
    UNSCORED,
    UNSCORED_CLASSES,
)
from physio_mae_jax.preparation.layouts.wfdb_recording import wfdb_recording
from physio_mae_jax.preparation.recording import (
    DatasetLayout,
    LabelTask,
    Recording,
    RecordRef,
    TrainingDefaults,
    reject_duplicates,
)
from physio_mae_jax.preparation.tables import parse_fields
from physio_mae_jax.signals.channels import TWELVE_LEADS
from physio_mae_jax.types import JsonObject

_NAME = re.compile(r"(A|Q|I|S|HR|E|JS)(\d{2,5})", re.ASCII)
_SOURCES = {
    "A": "cpsc_2018",
    "Q": "cpsc_2018_extra",
    "I": "st_petersburg_incart",
    "S": "ptb",
    "HR": "ptb_xl",
    "E": "georgia",
    "JS": "chapman_shaoxing",
}
# Names of Chapman-Shaoxing and Ningbo are numbered in one sequence.
_FIRST_OF_NINGBO = 10647
_SEXES = {"male": "male", "m": "male", "female": "female", "f": "female"}
_OLDEST = 120


@dataclasses.dataclass(frozen=True)
class Challenge2021(DatasetLayout):
    """Layout of the Challenges: pairs such as ``A0001.hea`` and ``A0001.mat`` in any folders."""

    name = "challenge2021"
    defaults = TrainingDefaults(channels="12_lead", max_window_seconds=5.0, task="diagnosis")
    description = (
        "PhysioNet/CinC Challenges 2020 and 2021: twelve-lead ECGs of 5 s and longer of CPSC, "
        "Georgia, Chapman-Shaoxing, Ningbo, PTB, PTB-XL and St Petersburg; each recording counts "
        "as its own subject, since the sources do not identify subjects."
    )
    homepage = "https://physionet.org/content/challenge-2021/"
    citation = "Reyna et al., Will two do? The PhysioNet/Computing in Cardiology Challenge, 2021"
    license = "CC BY 4.0; recordings of PTB and St Petersburg ODC-BY 1.0"
    expected_channels = TWELVE_LEADS
    tasks = (
        LabelTask(
            name="diagnosis",
            classes=SCORED_CLASSES,
            description="The 26 scored diagnoses of 2021, equal ones under one name.",
        ),
        LabelTask(
            name="unscored",
            classes=UNSCORED_CLASSES,
            description="The diagnoses of the Challenge that were not scored.",
        ),
    )

    def find(self, source: Path) -> Sequence[RecordRef]:
        """List the headers of all folders, see ``DatasetLayout``."""
        refs = []
        for path in sorted(source.rglob("*.hea")):
            match = _NAME.fullmatch(path.stem)
            if match is None:
                raise DataError(
                    f"{path} does not have the name of a recording of the Challenge, such as "
                    "A0001, HR00001 or JS00001, so its source is unknown; remove it, or "
                    "prepare it as 'folder'."
                )
            file = path.relative_to(source)
            refs.append(
                RecordRef(
                    record_id=path.stem,
                    subject_id=path.stem,
                    files=(file.as_posix(), file.with_suffix(".mat").as_posix()),
                    details=_origin(match[1], int(match[2])),
                )
            )
        if not refs:
            raise DataError(
                f"{source} contains no headers such as A0001.hea; give the folder that contains "
                "the folders of the sources."
            )
        reject_duplicates(refs, str(source))
        return refs

    def read(self, source: Path, ref: RecordRef) -> Recording:
        """Read a recording and the diagnoses of its header, see ``DatasetLayout``."""
        path = source / ref.files[0]
        record = read_full_record(path)
        fields = _header_fields(record.comments)
        if "dx" not in fields:
            raise UnreadableError(
                f"{path} has no line '#Dx:' of SNOMED CT codes; copy it again, or exclude it."
            )
        codes = _codes(fields["dx"], path)
        attributes = {"subject_known": False, **ref.details, **_patient(fields)}
        if others := [code for code in codes if code not in SCORED | UNSCORED]:
            attributes["other_codes"] = ",".join(others)
        return wfdb_recording(
            record,
            labels=_labels(codes, self.tasks),
            attributes=attributes,
        )


def _origin(letters: str, number: int) -> dict[str, str | int]:
    """Return the source of a recording, and its id in PTB-XL if it is from PTB-XL."""
    if letters == "JS" and number >= _FIRST_OF_NINGBO:
        return {"source": "ningbo"}
    if letters == "HR":
        return {"source": _SOURCES[letters], "ptbxl_ecg_id": number}
    return {"source": _SOURCES[letters]}


def _header_fields(comments: Sequence[str]) -> dict[str, str]:
    """Return the comments of a header, such as 'Age: 74', by their names in lower case."""
    return {name.lower(): value for name, value in parse_fields(comments).items()}


def _labels(codes: Sequence[str], tasks: Sequence[LabelTask]) -> dict[str, np.ndarray]:
    """Return the labels of each task; empty for a recording without diagnoses."""
    if not codes:
        return {}
    return {
        task.name: task.encode([table[code] for code in codes if code in table])
        for task, table in zip(tasks, (SCORED, UNSCORED), strict=True)
    }


def _codes(text: str, path: Path) -> list[str]:
    """Parse codes separated by commas, in order and without duplicates."""
    codes = [code.strip() for code in text.split(",") if code.strip()]
    if not all(code.isascii() and code.isdigit() for code in codes):
        raise UnreadableError(
            f"{path}: the diagnoses read {text[:60]!r}; SNOMED CT codes separated by commas "
            "are expected, such as '59118001,164889003'. Copy it again, or exclude it."
        )
    return list(dict.fromkeys(codes))


def _patient(fields: Mapping[str, str]) -> JsonObject:
    """Return age and sex if they are known; an impossible age means unknown."""
    patient: JsonObject = {}
    try:
        age = float(fields.get("age", ""))
    except ValueError:
        age = math.nan
    if 0 <= age <= _OLDEST:
        patient["age"] = age
    if sex := _SEXES.get(fields.get("sex", "").lower()):
        patient["sex"] = sex
    return patient

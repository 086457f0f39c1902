"""The MIT-BIH Arrhythmia Database (Moody and Mark 2001) with beats in the classes of AAMI EC57."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from physio_mae_jax.data.formats.wfdb_record import read_annotations, read_full_record
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.wfdb_recording import wfdb_recording
from physio_mae_jax.preparation.recording import (
    SEXES,
    Annotations,
    DatasetLayout,
    LabelTask,
    Recording,
    RecordRef,
    TrainingDefaults,
    require_file,
)
from physio_mae_jax.types import JsonObject

CLASSES = ("N", "S", "V", "F", "Q")
_CLASS_BY_SYMBOL = {
    **dict.fromkeys("NLRej", "N"),
    **dict.fromkeys("AaJS", "S"),
    **dict.fromkeys("VE", "V"),
    "F": "F",
    **dict.fromkeys("/fQ", "Q"),
}
# The inter-patient division of de Chazal et al. 2004; records of paced beats belong to neither.
_SETS = {
    "DS1": (
        "101 106 108 109 112 114 115 116 118 119 122 124 201 203 205 207 208 209 215 220 223 230"
    ),
    "DS2": (
        "100 103 105 111 113 117 121 123 200 202 210 212 213 214 219 221 222 228 231 232 233 234"
    ),
    "paced": "102 104 107 217",
}
_SET_BY_RECORD = {record: name for name, records in _SETS.items() for record in records.split()}
# Two records of one subject, which the usual split separates; here they share one id.
_SUBJECT_BY_RECORD = {"202": "201"}
_SUBJECT_INFO = re.compile(r"\s*(\d+|-1)\s+([MF])\b")


@dataclasses.dataclass(frozen=True)
class MitBih(DatasetLayout):
    """Layout of MIT-BIH: WFDB records and their ``.atr`` annotations in one folder."""

    name = "mitbih"
    defaults = TrainingDefaults(
        task="beat",
        split_rule="set=DS1|0.2|DS2 -shared",
        classes="N,S,V,F",
        label_window_seconds=10.0,
        head="event",
    )
    description = (
        "MIT-BIH Arrhythmia Database: two-channel ECGs of half an hour, with every beat annotated."
    )
    homepage = "https://physionet.org/content/mitdb/"
    citation = "Moody and Mark, The impact of the MIT-BIH Arrhythmia Database, 2001"
    license = "ODC-BY 1.0"
    download = "https://physionet.org/files/mitdb/1.0.0/ (0.1 GB)"
    tasks = (
        LabelTask(
            name="beat",
            classes=CLASSES,
            level="event",
            exclusive=True,
            description="AAMI class of each beat, at its annotated sample.",
        ),
    )

    def find(self, source: Path) -> Sequence[RecordRef]:
        """List the headers of the folder, see ``DatasetLayout``."""
        headers = sorted(source.glob("*.hea"))
        if not headers:
            raise DataError(
                f"{source} contains no WFDB headers (.hea); give the folder of MIT-BIH."
            )
        return [
            RecordRef(
                record_id=path.stem,
                subject_id=_SUBJECT_BY_RECORD.get(path.stem, path.stem),
                files=(f"{path.stem}.hea", f"{path.stem}.dat", f"{path.stem}.atr"),
            )
            for path in headers
        ]

    def read(self, source: Path, ref: RecordRef) -> Recording:
        """Read a record and its beats, see ``DatasetLayout``."""
        record = read_full_record(source / ref.files[0])
        annotations = read_annotations(require_file(source / ref.files[2], "beat annotations"))
        beats = [
            (sample, sample + 1, CLASSES.index(_CLASS_BY_SYMBOL[symbol]))
            for sample, symbol in annotations
            if symbol in _CLASS_BY_SYMBOL
        ]
        attributes: JsonObject = {"set": _SET_BY_RECORD.get(ref.record_id, "other")}
        if record.comments and (subject_info := _SUBJECT_INFO.match(record.comments[0])):
            if subject_info[1] != "-1":
                attributes["age"] = float(subject_info[1])
            attributes["sex"] = SEXES[subject_info[2]]
        return wfdb_recording(
            record,
            annotations={"beat": Annotations.from_triples(beats)},
            attributes=attributes,
        )

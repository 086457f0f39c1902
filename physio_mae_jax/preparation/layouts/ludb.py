"""The Lobachevsky University Database (Kalyakulina et al. 2020): ECGs with delineated waves.

Cardiologists marked the onset, peak and offset of every P wave, QRS complex and T wave in each lead
independently of the others. The task ``wave_II`` has these waves of lead II, the usual reference,
as intervals from the onset to the offset, both included; ``wave_I`` to ``wave_V6`` have those of
the other leads. Intervals of a lead never overlap, so each sample has at most one class. A wave
without an onset or an offset has no interval (``incomplete_waves`` counts them in all leads). The
intervals are shorter than most windows; the task ``peak`` has the peaks of lead II as events, for
windows around them.

The task ``waves`` has a class for every sample of every lead, from these intervals. A sample
outside all intervals belongs to no wave, but only between the first and the last interval of a
lead, since the beats at both ends of a recording are not marked, and not between two intervals that
have marks of an incomplete wave between them.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from physio_mae_jax.data.formats.file_facts import UnreadableError
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
    reject_duplicates,
    require_file,
)
from physio_mae_jax.preparation.tables import read_table
from physio_mae_jax.signals.channels import TWELVE_LEADS
from physio_mae_jax.types import JsonObject

WAVES = ("P", "QRS", "T")
REFERENCE_LEAD = "II"
SAMPLE_TASK = "waves"
_WAVE_OF = {"p": "P", "N": "QRS", "t": "T"}
_ONSET, _OFFSET = "(", ")"
_AXIS = "electric axis of the heart: "
# Column -> task with the classes no and yes: whether the column has a statement.
_WHETHER = {
    "Cardiac pacing": "pacemaker",
    "Non-specific repolarization abnormalities": "repolarization_abnormality",
}
# Column -> task, and the beginning of each statement -> class; '' for no class.
_COLUMNS: Mapping[str, tuple[str, Mapping[str, str]]] = MappingProxyType(
    {
        "Rhythms": (
            "rhythm",
            {
                "sinus rhythm": "sinus_rhythm",
                "sinus bradycardia": "sinus_bradycardia",
                "atrial fibrillation": "atrial_fibrillation",
                "sinus arrhythmia": "sinus_arrhythmia",
                "sinus tachycardia": "sinus_tachycardia",
                "atrial flutter": "atrial_flutter",
                "irregular sinus rhythm": "irregular_sinus_rhythm",
                # Stated in addition to one of the above.
                "wandering atrial pacemaker": "",
                "aberrant conduction": "",
            },
        ),
        "Electric axis of the heart": (
            "axis",
            {_AXIS + name: name for name in ("normal", "left", "vertical", "horizontal", "right")},
        ),
        "Conduction abnormalities": (
            "conduction",
            {
                "incomplete right bundle branch block": "IRBBB",
                "left anterior hemiblock": "LAFB",
                "i degree av": "1AVB",
                "incomplete left bundle branch block": "ILBBB",
                "iii degree av": "3AVB",
                "complete right bundle branch block": "CRBBB",
                "complete left bundle branch block": "CLBBB",
                "non-specific intravintricular conduction": "IVCD",
                "sinoatrial blockade": "SAB",
            },
        ),
        "Extrasystolies": (
            "extrasystole",
            {"atrial extrasystole": "atrial", "ventricular extrasystole": "ventricular"},
        ),
        "Hypertrophies": (
            "hypertrophy",
            {
                f"{side} {chamber} {kind}": f"{side}_{chamber}_{kind}"
                for side in ("left", "right")
                for chamber in ("ventricular", "atrial")
                for kind in ("hypertrophy", "overload")
            },
        ),
        "Ischemia": (
            "ischemia",
            {
                "stemi": "stemi",
                "ischemia": "ischemia",
                "scar formation": "scar",
                "undefined ischemia": "undefined",
            },
        ),
    }
)
_DESCRIPTIONS = {
    "rhythm": "Main rhythm; each recording has one.",
    "axis": "Electrical axis of the heart; unknown if the heart is paced.",
    "conduction": "Conduction disorders.",
    "extrasystole": "Origins of extrasystoles.",
    "hypertrophy": "Hypertrophies and overloads of the chambers.",
    "ischemia": "Kinds of ischemia, at any location.",
    "pacemaker": "Whether the heart is paced.",
    "repolarization_abnormality": "Whether there are non-specific repolarization abnormalities.",
}
_EXCLUSIVE = ("rhythm", "axis")


def _wave_task(lead: str) -> str:
    return f"wave_{lead}"


def _make_tasks() -> tuple[LabelTask, ...]:
    """Make the tasks of the table, then those of the waves."""
    statements = [
        LabelTask(
            name=name,
            classes=tuple(filter(None, classes.values())),
            exclusive=name in _EXCLUSIVE,
            description=_DESCRIPTIONS[name],
        )
        for name, classes in _COLUMNS.values()
    ]
    whether = [
        LabelTask(name=name, classes=("no", "yes"), exclusive=True, description=_DESCRIPTIONS[name])
        for name in _WHETHER.values()
    ]
    waves = [
        LabelTask(
            name=_wave_task(lead),
            classes=WAVES,
            level="interval",
            exclusive=True,
            description=f"Waves of lead {lead}, from the onset to the offset.",
        )
        for lead in TWELVE_LEADS
    ]
    peak = LabelTask(
        name="peak",
        classes=WAVES,
        level="event",
        exclusive=True,
        description=f"Peaks of the waves of lead {REFERENCE_LEAD}.",
    )
    samples = LabelTask(
        name=SAMPLE_TASK,
        classes=WAVES,
        level="sample",
        exclusive=True,
        description="Wave at each sample of each lead.",
        channel_tasks={lead: _wave_task(lead) for lead in TWELVE_LEADS},
    )
    return (*statements, *whether, *waves, peak, samples)


@dataclasses.dataclass(frozen=True)
class Ludb(DatasetLayout):
    """Layout of LUDB: ``ludb.csv``, and records with annotations of each lead in ``data/``."""

    name = "ludb"
    version = "1.1.0"
    defaults = TrainingDefaults(
        channels="12_lead",
        max_window_seconds=10.0,
        task="rhythm",
        classes="sinus_rhythm,sinus_bradycardia,atrial_fibrillation",
    )
    description = (
        "LUDB: twelve-lead ECGs of 10 s of 200 subjects, with every wave of each lead annotated."
    )
    homepage = "https://physionet.org/content/ludb/"
    citation = (
        "Kalyakulina et al., LUDB: A new open-access validation tool for electrocardiogram "
        "delineation algorithms, 2020"
    )
    license = "ODC-BY 1.0"
    expected_channels = TWELVE_LEADS
    tasks = _make_tasks()

    def find(self, source: Path) -> Sequence[RecordRef]:
        """List the rows of ``ludb.csv``, see ``DatasetLayout``."""
        table = require_file(source / "ludb.csv", "the diagnoses of LUDB, version 1.0.1")
        rows = read_table(table, ("ID", "Sex", "Age", *_COLUMNS, *_WHETHER))
        refs = [
            RecordRef(
                record_id=row["ID"],
                subject_id=row["ID"],
                files=tuple(
                    f"data/{row['ID']}.{ending}"
                    for ending in ("hea", "dat", *map(str.lower, TWELVE_LEADS))
                ),
                details={
                    "labels": _labels_of_row(row, f"{table}, ID {row['ID']}"),
                    "attributes": _attributes(row),
                },
            )
            for row in rows
        ]
        reject_duplicates(refs, str(table))
        return refs

    def read(self, source: Path, ref: RecordRef) -> Recording:
        """Read a record and the waves of each lead, see ``DatasetLayout``."""
        record = read_full_record(require_file(source / ref.files[0], "a header of LUDB"))
        num_samples = record.signal.shape[1]
        annotations: dict[str, Annotations] = {}
        annotated = {}
        num_incomplete = 0
        for lead, file in zip(TWELVE_LEADS, ref.files[2:], strict=True):
            marks = read_annotations(source / file)
            _check_marks(marks, num_samples, source / file)
            waves, peaks = _waves_of(marks), _peaks_of(marks)
            annotations[_wave_task(lead)] = Annotations.from_triples(waves)
            annotated[_wave_task(lead)] = _annotated_ranges(marks, waves)
            num_incomplete += len(peaks) - len(waves)
            if lead == REFERENCE_LEAD:
                annotations["peak"] = Annotations.from_triples(peaks)
        task_of = {task.name: task for task in self.tasks}
        return wfdb_recording(
            record,
            labels={
                name: task_of[name].encode(classes)
                for name, classes in ref.details["labels"].items()
            },
            annotations=annotations,
            annotated=annotated,
            attributes={**ref.details["attributes"], "incomplete_waves": num_incomplete},
        )


def _statements(cell: str) -> list[str]:
    """Return the lines of a cell."""
    return [line.strip() for line in cell.splitlines() if line.strip()]


def _labels_of_row(row: Mapping[str, str], where: str) -> dict[str, list[str]]:
    """Return the classes of each task; a task is absent if the axis is unknown."""
    labels = {
        task: ["yes" if _statements(row[column]) else "no"] for column, task in _WHETHER.items()
    }
    for column, (task, classes) in _COLUMNS.items():
        found: list[str] = []
        for statement in _statements(row[column]):
            begun = [name for start, name in classes.items() if _begins(statement, start)]
            if not begun:
                raise DataError(
                    f"{where}: {column} reads {statement[:60]!r}, which is not known; use ludb.csv "
                    "of version 1.0.1."
                )
            found += filter(None, begun)
        if task in _EXCLUSIVE and len(found) != 1:
            if task == "axis" and not found:
                continue
            raise DataError(
                f"{where}: {column} reads {row[column][:60]!r}, {len(found)} classes of {task!r} "
                "where one is expected; use ludb.csv of version 1.0.1."
            )
        labels[task] = list(dict.fromkeys(found))
    return labels


def _begins(statement: str, start: str) -> bool:
    return statement.lower().startswith(start)


def _attributes(row: Mapping[str, str]) -> JsonObject:
    """Return age, sex, and all statements of a row as spelled."""
    attributes: JsonObject = {}
    if sex := SEXES.get(row["Sex"]):
        attributes["sex"] = sex
    if row["Age"]:
        attributes["age"] = float(row["Age"]) if row["Age"].isdigit() else row["Age"]
    columns = [name for name in row if name not in ("ID", "Sex", "Age")]
    attributes["statements"] = "; ".join(s for name in columns for s in _statements(row[name]))
    return attributes


def _check_marks(marks: Sequence[tuple[int, str]], num_samples: int, path: Path) -> None:
    for sample, symbol in marks:
        if symbol not in (*_WAVE_OF, _ONSET, _OFFSET) or not 0 <= sample < num_samples:
            raise UnreadableError(
                f"{path} has {symbol!r} at sample {sample} of {num_samples}; expected marks of "
                f"onset, peak and offset ({' '.join((_ONSET, *_WAVE_OF, _OFFSET))}) within the "
                "record. Copy it again."
            )


def _waves_of(marks: Sequence[tuple[int, str]]) -> list[tuple[int, int, int]]:
    """Return (onset, offset + 1, class) of each wave with three consecutive marks."""
    return [
        (onset, offset + 1, WAVES.index(_WAVE_OF[symbol]))
        for (onset, first), (_, symbol), (offset, last) in zip(
            marks, marks[1:], marks[2:], strict=False
        )
        if (first, last) == (_ONSET, _OFFSET) and symbol in _WAVE_OF
    ]


def _annotated_ranges(
    marks: Sequence[tuple[int, str]], waves: Sequence[tuple[int, int, int]]
) -> list[tuple[int, int]]:
    """Return the [start, stop) ranges of consecutive waves that have no other mark between them."""
    samples = [sample for sample, _ in marks]
    ranges: list[tuple[int, int]] = []
    for start, stop, _ in waves:
        before = ranges[-1][1] if ranges else start
        if not ranges or any(before <= sample < start for sample in samples):
            ranges.append((start, stop))
        else:
            ranges[-1] = (ranges[-1][0], stop)
    return ranges


def _peaks_of(marks: Sequence[tuple[int, str]]) -> list[tuple[int, int, int]]:
    return [
        (sample, sample + 1, WAVES.index(_WAVE_OF[symbol]))
        for sample, symbol in marks
        if symbol in _WAVE_OF
    ]

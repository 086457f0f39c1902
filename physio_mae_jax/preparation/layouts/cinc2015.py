"""The PhysioNet/CinC Challenge 2015 (Clifford et al. 2015): ICU recordings that end in an alarm.

Variant 'wfdb' reads the ``training`` folder of PhysioNet, 250 Hz: the comments of a header name the
alarm and whether it was true, as the table ``ALARMS`` does. 'flac' reads a packed copy at 125 Hz of
the recordings with PPG, each with two ECG leads, in any number of parts.

The alarm sounds after five minutes, and its event begins in the ten seconds before (rules of the
challenge). The labels apply to these ten seconds; other events are not annotated. The source does
not identify patients, who may have several alarms: each recording counts as a subject, so that a
split by subject may have one patient on both sides.
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
from physio_mae_jax.preparation.recording import (
    Annotations,
    LabelTask,
    Recording,
    RecordRef,
    TrainingDefaults,
    reject_duplicates,
)
from physio_mae_jax.signals.channels import canonical_name
from physio_mae_jax.signals.units import canonical_unit
from physio_mae_jax.types import JsonMapping

ALARM_S = 300.0
EVENT_S = 10.0
ALARMS = ("false", "true")
# As spelled in the source -> class.
_TYPES = {
    "Asystole": "asystole",
    "Bradycardia": "bradycardia",
    "Tachycardia": "tachycardia",
    "Ventricular_Tachycardia": "ventricular_tachycardia",
    "Ventricular_Flutter_Fib": "ventricular_flutter",
}
TYPES = tuple(_TYPES.values())
_VERDICTS = {"False alarm": "false", "True alarm": "true"}
_MISSING = -32768
_ROWS = ("rec", "n_ch", "n_samp", "ch", "gain", "baseline", "unit", "alarm", "true_alarm")


@dataclasses.dataclass(frozen=True)
class Cinc2015(SeveralForms):
    """Layout of the training set of the challenge, form 'wfdb' or 'flac'."""

    form: str = "wfdb"

    name = "cinc2015"
    defaults = TrainingDefaults(
        channels="ecg_ppg", max_window_seconds=ALARM_S, task="alarm", label_window_seconds=EVENT_S
    )
    description = (
        "PhysioNet/CinC Challenge 2015: ECG, PPG and pressure of five minutes before an ICU alarm, "
        "true or false; patients are not identified, so each recording counts as a subject."
    )
    homepage = "https://physionet.org/content/challenge-2015/"
    citation = "Clifford et al., Reducing false arrhythmia alarms in the ICU, 2015"
    license = "ODC-BY 1.0"
    collected_form = "flac"
    published_download = "https://physionet.org/files/challenge-2015/1.0.0/ (0.4 GB)"
    source_filters = "FIR band-pass of 0.05 to 40 Hz and notch filters, by the source"
    collected_filters = "resampled from 250 to 125 Hz"
    needed_files = ("training/*",)
    tasks = (
        LabelTask(
            name="alarm",
            classes=ALARMS,
            level="interval",
            exclusive=True,
            description="Whether the alarm was true, in the ten seconds before it.",
        ),
        LabelTask(
            name="alarm_type",
            classes=TYPES,
            level="interval",
            exclusive=True,
            description="Arrhythmia of the alarm, true or false.",
        ),
    )

    def find(self, source: Path) -> Sequence[RecordRef]:
        """List the recordings with their alarms, see ``DatasetLayout``."""
        refs = _find_packed(source) if self.is_collected else _find_records(source)
        reject_duplicates(refs, str(source))
        return refs

    def read(self, source: Path, ref: RecordRef) -> Recording:
        """Read a recording, see ``DatasetLayout``."""
        read = _read_packed if self.is_collected else _read_record
        signal, channels, units, rate_hz = read(source / ref.files[0], ref.details)
        begin, end = (round(time_s * rate_hz) for time_s in (ALARM_S - EVENT_S, ALARM_S))
        if signal.shape[1] < end:
            raise UnreadableError(
                f"{source / ref.files[0]}, record {ref.record_id}, has "
                f"{signal.shape[1] / rate_hz:g} s; the alarm is at {ALARM_S:g} s. Copy it again, "
                "or exclude it."
            )
        return Recording(
            signal=signal,
            channels=tuple(canonical_name(name) for name in channels),
            units=tuple(canonical_unit(unit) for unit in units),
            sampling_rate_hz=rate_hz,
            annotations={
                task.name: Annotations.from_triples(
                    [(begin, end, task.classes.index(ref.details[task.name]))]
                )
                for task in self.tasks
            },
            attributes={
                "subject_known": False,
                "alarm": ref.details["alarm"],
                "alarm_type": ref.details["alarm_type"],
            },
        )


def _find_records(source: Path) -> list[RecordRef]:
    """List the headers; if there is a table ALARMS too, both must agree."""
    table = _read_alarms(source)
    refs = []
    for path in sorted(source.rglob("*.hea")):
        labels = _labels_of(path, read_header(path).comments)
        listed = table.get(path.stem, labels)
        if listed != labels:
            raise DataError(
                f"{path} says {' and '.join(labels.values())}; the table ALARMS says "
                f"{' and '.join(listed.values())}. Copy both again."
            )
        file = path.relative_to(source)
        refs.append(
            RecordRef(
                record_id=path.stem,
                subject_id=path.stem,
                files=(file.as_posix(), file.with_suffix(".mat").as_posix()),
                details=labels,
            )
        )
    if not refs:
        raise DataError(
            f"{source} contains no headers such as v100s.hea; give the folder that contains the "
            "unpacked folder 'training' of the challenge."
        )
    missing = sorted(set(table) - {ref.record_id for ref in refs})
    if missing:
        raise DataError(
            f"{source} lacks the headers of {len(missing)} records of its table ALARMS "
            f"({', '.join(missing[:5])}); copy them, or delete their lines from the table."
        )
    return refs


def _labels_of(path: Path, comments: Sequence[str]) -> dict[str, str]:
    """Return the classes of both tasks from the comments of a header."""
    types = [_TYPES[comment] for comment in comments if comment in _TYPES]
    verdicts = [_VERDICTS[comment] for comment in comments if comment in _VERDICTS]
    if len(types) != 1 or len(verdicts) != 1:
        raise DataError(
            f"{path} has the comments {', '.join(map(repr, comments)) or 'none'}; one of "
            f"{', '.join(_TYPES)} and one of {', '.join(_VERDICTS)} are expected. The folder "
            "'training' has them; the test sets have no labels."
        )
    return {"alarm": verdicts[0], "alarm_type": types[0]}


def _read_alarms(source: Path) -> dict[str, dict[str, str]]:
    """Read lines such as 'v100s,Ventricular_Tachycardia,0'; empty if there is no table."""
    tables = sorted(source.rglob("ALARMS"))
    if len(tables) > 1:
        raise DataError(f"{source} contains {len(tables)} tables ALARMS; keep one.")
    labels = {}
    for table in tables:
        with name_file_in_errors(table, "lines such as 'v100s,Asystole,0'", (OSError, ValueError)):
            lines = table.read_text(encoding="utf-8-sig").splitlines()
        for number, line in enumerate(lines, start=1):
            record, *rest = (part.strip() for part in line.split(","))
            if not line.strip():
                continue
            if len(rest) != 2 or rest[0] not in _TYPES or rest[1] not in ("0", "1"):
                raise DataError(
                    f"{table}, line {number} reads {line.strip()[:60]!r}; expected a record, one "
                    f"of {', '.join(_TYPES)}, and 0 or 1, such as 'v100s,Asystole,0'."
                )
            labels[record] = {"alarm": ALARMS[int(rest[1])], "alarm_type": _TYPES[rest[0]]}
    return labels


_Signals = tuple[np.ndarray, Sequence[str], Sequence[str], float]


def _read_record(path: Path, details: Mapping[str, object]) -> _Signals:
    record = read_full_record(path)
    return record.signal, record.channels, record.units, record.sampling_rate_hz


def _parts(source: Path) -> list[Path]:
    parts = sorted(source.glob("cinc2015_part*.npz"))
    if not parts:
        raise DataError(
            f"{source} contains no files such as cinc2015_part0.npz; give the folder of the packed "
            "recordings, or prepare PhysioNet's 'training' as cinc2015/wfdb."
        )
    return parts


def _table(path: Path) -> Mapping[str, np.ndarray]:
    arrays = packed_table(path, (*_ROWS, "fs"), "the packed recordings")
    rows = check_rows(path, arrays, _ROWS)
    channels, widest = arrays["n_ch"], arrays["ch"].shape[-1]
    if arrays["ch"].ndim != 2 or rows == 0 or not ((channels > 0) & (channels <= widest)).all():
        raise UnreadableError(
            f"{path}: 'n_ch' must be from 1 to {widest}, the columns of 'ch'. Copy the file again."
        )
    used = np.arange(widest) < channels[:, None]
    if (arrays["gain"][used] == 0).any() or (arrays["n_samp"] < 0).any():
        raise UnreadableError(f"{path} has a gain of 0 or a negative length. Copy the file again.")
    return arrays


def _find_packed(source: Path) -> list[RecordRef]:
    refs = []
    for path in _parts(source):
        arrays = _table(path)
        sizes = arrays["n_ch"].astype(np.int64) * arrays["n_samp"]
        starts = np.cumsum(sizes) - sizes
        check_length(path.with_suffix(".flac"), int(sizes.sum()))
        for row, record in enumerate(arrays["rec"].tolist()):
            kind, verdict = str(arrays["alarm"][row]), int(arrays["true_alarm"][row])
            if kind not in _TYPES or verdict not in (0, 1):
                raise UnreadableError(
                    f"{path}, row {row}: alarm {kind!r} and true_alarm {verdict}; one of "
                    f"{', '.join(_TYPES)}, and 0 or 1, are expected."
                )
            refs.append(
                RecordRef(
                    record_id=record,
                    subject_id=record,
                    files=(path.with_suffix(".flac").name, path.name),
                    details={
                        "row": row,
                        "start": int(starts[row]),
                        "alarm": ALARMS[verdict],
                        "alarm_type": _TYPES[kind],
                    },
                )
            )
    return refs


def _read_packed(path: Path, details: JsonMapping) -> _Signals:
    arrays = _table(path.with_suffix(".npz"))
    row, start = details["row"], details["start"]
    count, length = int(arrays["n_ch"][row]), int(arrays["n_samp"][row])
    digital = read_values(path, start, start + count * length).reshape(count, length)
    gain, baseline = (arrays[name][row, :count, None] for name in ("gain", "baseline"))
    signal = ((digital - baseline) / gain).astype(np.float32)
    signal[digital == _MISSING] = np.nan
    names, units = (arrays[name][row, :count].tolist() for name in ("ch", "unit"))
    return signal, names, units, float(arrays["fs"])

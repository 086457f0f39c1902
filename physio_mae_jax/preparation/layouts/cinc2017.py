"""The PhysioNet/CinC Challenge 2017 (Clifford et al. 2017): short ECGs of a hand-held device.

The training set is read from a folder ``training2017`` or PhysioNet's ``training/A00``... . Labels
are those of ``REFERENCE-v3.csv`` (the third revision) if present, else of ``REFERENCE.csv``.
Headers state checksum 0, which means none; other checksums are verified. The source does not
identify subjects, so each recording counts as a separate subject.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from physio_mae_jax.data.formats.file_facts import UnreadableError, name_file_in_errors
from physio_mae_jax.data.formats.wfdb_header import read_header
from physio_mae_jax.data.formats.wfdb_record import read_full_record
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.recording import (
    DatasetLayout,
    LabelTask,
    Recording,
    RecordRef,
    TrainingDefaults,
    reject_duplicates,
)
from physio_mae_jax.signals.units import canonical_unit

CLASSES = ("normal", "af", "other", "noisy")
_CLASS_BY_SYMBOL = {"N": "normal", "A": "af", "O": "other", "~": "noisy"}
_REFERENCES = ("REFERENCE-v3.csv", "REFERENCE.csv")
_RATE_HZ = 300.0


@dataclasses.dataclass(frozen=True)
class Cinc2017(DatasetLayout):
    """Layout of the challenge: ``A00001.hea`` and ``.mat`` pairs with a table of labels."""

    name = "cinc2017"
    defaults = TrainingDefaults(channels="I", max_window_seconds=9.0, task="rhythm")
    description = "PhysioNet/CinC Challenge 2017: single-lead ECGs of 9 to 61 s with rhythm labels."
    homepage = "https://physionet.org/content/challenge-2017/"
    citation = "Clifford et al., AF classification from a short single lead ECG recording, 2017"
    license = "ODC-BY 1.0"
    filters = "band-pass of the AliveCor device"
    expected_channels = ("I",)
    tasks = (
        LabelTask(
            name="rhythm",
            classes=CLASSES,
            exclusive=True,
            description="Normal rhythm, atrial fibrillation, another rhythm, or too noisy to say.",
        ),
    )

    def find(self, source: Path) -> Sequence[RecordRef]:
        """List the rows of the label table, see ``DatasetLayout``."""
        headers = {path.stem: path.relative_to(source) for path in sorted(source.rglob("A*.hea"))}
        if not headers:
            raise DataError(
                f"{source} contains no headers such as A00001.hea; give the folder that contains "
                "training2017."
            )
        table = _find_reference(source)
        letters = _read_reference(table)
        unlabelled = sorted(set(headers) - {record for record, _ in letters})
        if unlabelled:
            raise DataError(
                f"{table} has no row for {len(unlabelled)} recordings ({', '.join(unlabelled[:5])}"
                "); use the table of the same revision, or remove their files."
            )
        refs = []
        for record, letter in letters:
            # A row without files is reported when its recording is read.
            path = headers.get(record, next(iter(headers.values())).with_name(f"{record}.hea"))
            refs.append(
                RecordRef(
                    record_id=record,
                    subject_id=record,
                    files=(path.as_posix(), path.with_suffix(".mat").as_posix()),
                    details={"rhythm": _CLASS_BY_SYMBOL[letter]},
                )
            )
        reject_duplicates(refs, str(table))
        return refs

    def read(self, source: Path, ref: RecordRef) -> Recording:
        """Read a recording, see ``DatasetLayout``."""
        path = source / ref.files[0]
        header = read_header(path)
        if (
            header.channels not in (("ECG",), ("I",))
            or header.frame_rate_hz != _RATE_HZ
            or canonical_unit(header.units[0]) != "mV"
        ):
            raise UnreadableError(
                f"{path} names the signals {', '.join(header.channels) or 'none'} in "
                f"{', '.join(header.units)} at {header.frame_rate_hz:g} Hz; one ECG in mV at "
                f"{_RATE_HZ:g} Hz is expected. Copy it again, or exclude it."
            )
        return Recording(
            signal=read_full_record(path).signal,
            channels=("I",),
            units=("mV",),
            sampling_rate_hz=_RATE_HZ,
            labels={"rhythm": self.tasks[0].encode([ref.details["rhythm"]])},
            attributes={"subject_known": False},
        )


def _find_reference(source: Path) -> Path:
    for name in _REFERENCES:
        found = sorted(source.rglob(name))
        if len(found) > 1:
            raise DataError(
                f"{source} contains several label tables: {', '.join(map(str, found))}; keep one."
            )
        if found:
            return found[0]
    raise DataError(
        f"{source} contains neither {' nor '.join(_REFERENCES)}, the label tables; copy one there."
    )


def _read_reference(path: Path) -> list[tuple[str, str]]:
    """Return record and letter of each line such as 'A00001,N'."""
    with name_file_in_errors(path, "lines such as 'A00001,N'", (OSError, ValueError)):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        record, _, letter = (part.strip() for part in line.partition(","))
        if not record or letter not in _CLASS_BY_SYMBOL:
            raise DataError(
                f"{path}, line {number} reads {line.strip()[:60]!r}; expected a record and one of "
                f"{', '.join(_CLASS_BY_SYMBOL)}, such as 'A00001,N'."
            )
        rows.append((record, letter))
    return rows

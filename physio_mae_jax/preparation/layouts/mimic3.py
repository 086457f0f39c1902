"""MIMIC-III Waveform Database Matched Subset (Moody et al. 2020), segment by segment.

A folder ``p00/p000020`` holds the records of a subject: master and layout headers, numerics
('...n'), and segments ``3544749_0001``. Segments are what is taken, those that by their header have
an ECG lead or PLETH and last ten seconds at least. Shorter ones are skipped when recordings are
listed: connections that fail leave very many of them, and they hold no window. Nothing is joined
across segments, since time passes between them. Where signals differ in rate, as an ECG of 500 Hz
beside a PLETH of 125, all are brought to the highest.
"""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.wfdb_header import read_header
from physio_mae_jax.data.formats.wfdb_record import read_full_record
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.recording import (
    DatasetLayout,
    Recording,
    RecordRef,
    TrainingDefaults,
    reject_duplicates,
)
from physio_mae_jax.signals.channels import canonical_name, is_ecg
from physio_mae_jax.signals.units import canonical_unit

_SEGMENT = re.compile(r"\d+_\d+")
_SUBJECT = re.compile(r"p\d{6}")
_MIN_SECONDS = 10.0
# Chest leads of unnamed position, besides the twelve.


@dataclasses.dataclass(frozen=True)
class Mimic3Waveform(DatasetLayout):
    """Layout of the matched subset, or of some of its folders."""

    name = "mimic3"
    defaults = TrainingDefaults(channels="ecg_ppg")
    variant = "waveform"
    version = "1.1.0"
    description = "MIMIC-III Waveform Database Matched Subset: signals of intensive care monitors."
    homepage = "https://physionet.org/content/mimic3wdb-matched/"
    citation = "Moody et al., MIMIC-III Waveform Database Matched Subset, 2020"
    license = "ODbL 1.0"
    download = (
        "https://physionet.org/files/mimic3wdb-matched/1.0/ (2.4 TB; a part of it also works)"
    )

    def find(self, source: Path) -> Sequence[RecordRef]:
        """List the segments with an ECG or PLETH of ten seconds at least, see ``DatasetLayout``."""
        refs = []
        headers = [path for path in sorted(source.rglob("*.hea")) if _SEGMENT.fullmatch(path.stem)]
        for path in headers:
            subject = path.parent.name
            if not _SUBJECT.fullmatch(subject):
                raise DataError(
                    f"{path} lies in a folder {subject!r}; expected one named after a subject, "
                    "such as p000020. Use the Matched Subset, which names the subjects."
                )
            if _is_wanted(path):
                files = [path.relative_to(source), path.with_suffix(".dat").relative_to(source)]
                refs.append(
                    RecordRef(
                        record_id=f"{subject}/{path.stem}",
                        subject_id=subject,
                        files=tuple(file.as_posix() for file in files),
                    )
                )
        if not refs:
            raise DataError(
                f"{source} holds {len(headers)} headers of segments such as "
                "p00/p000020/3544749_0001.hea, none of them with an ECG or PLETH of "
                f"{_MIN_SECONDS:g} s; give the folder of the Matched Subset."
            )
        reject_duplicates(refs, str(source))
        return refs

    def read(self, source: Path, ref: RecordRef) -> Recording:
        """Read a segment, see ``DatasetLayout``."""
        path = source / ref.files[0]
        record = read_full_record(path)
        return Recording(
            signal=record.signal,
            channels=_names(record.channels),
            units=tuple(canonical_unit(unit) for unit in record.units),
            sampling_rate_hz=record.sampling_rate_hz,
            conversions=record.conversions,
        )


def _is_wanted(path: Path) -> bool:
    try:
        header = read_header(path)
    except UnreadableError:
        # Kept, so that reading it reports the error and the others continue.
        return True
    return (
        not header.segments
        and header.seconds >= _MIN_SECONDS
        and any(_shows_heart(name) for name in header.channels)
    )


def _shows_heart(name: str) -> bool:
    return is_ecg(name) or canonical_name(name) == "PPG"


def _names(channels: Sequence[str]) -> tuple[str, ...]:
    """Return canonical names; the spelling of the source where two would have one, as ABP, ART."""
    names: list[str] = []
    for channel in channels:
        canonical = canonical_name(channel)
        names.append(channel.strip() if canonical in names else canonical)
    return tuple(names)

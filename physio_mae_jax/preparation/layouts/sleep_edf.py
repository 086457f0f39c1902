"""Sleep-EDF Database Expanded (Kemp et al. 2000): nights with scored sleep stages.

A night is a pair ``SC4001E0-PSG.edf`` and ``SC4001EC-Hypnogram.edf`` with the same first seven
characters; the first five identify the subject, the sixth the night. The complete recording is
kept, including the day around the night. Rechtschaffen and Kales stages are mapped to AASM stages:
3 and 4 become N3. Movement and unscored epochs ('?') have no annotations.
"""

import contextlib
import dataclasses
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError, name_file_in_errors
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.recording import (
    SEXES,
    Annotations,
    DatasetLayout,
    LabelTask,
    Recording,
    RecordRef,
    TrainingDefaults,
    reject_duplicates,
)
from physio_mae_jax.signals.channels import canonical_name
from physio_mae_jax.signals.units import canonical_unit

if TYPE_CHECKING:
    import edfio

STAGES = ("W", "N1", "N2", "N3", "REM")
_STAGE_BY_CODE = {"W": "W", "1": "N1", "2": "N2", "3": "N3", "4": "N3", "R": "REM"}
_PREFIX = "Sleep stage "
_UNSCORED = ("Sleep stage ?", "Movement time")
_CHANNELS_TO_READ = ("EEG Fpz-Cz", "EEG Pz-Oz", "EOG horizontal", "EMG submental")
_PSG = re.compile(r"((?:SC|ST)\d{4})[A-Z]\d-PSG\.edf")
_STUDIES = {"SC": "cassette", "ST": "telemetry"}
# edfio parses with few checks, and warns about missing samples.
_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    NameError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    Warning,
)


@dataclasses.dataclass(frozen=True)
class SleepEdf(DatasetLayout):
    """Layout of Sleep-EDF: pairs of EDF files, in one folder or several."""

    name = "sleep_edf"
    defaults = TrainingDefaults(channels="EEG_FPZ_CZ,EEG_PZ_OZ", task="stage")
    description = "Sleep-EDF Expanded: EEG, EOG and EMG of whole nights, scored every 30 s."
    homepage = "https://physionet.org/content/sleep-edfx/"
    citation = "Kemp et al., Analysis of a sleep-dependent neuronal feedback loop, 2000"
    license = "ODC-BY 1.0"
    download = "https://physionet.org/files/sleep-edfx/1.0.0/ (8.1 GB)"
    expected_channels = ("EEG_FPZ_CZ", "EEG_PZ_OZ", "EOG")
    tasks = (
        LabelTask(
            name="stage",
            classes=STAGES,
            level="interval",
            exclusive=True,
            description="Sleep stage of the AASM; N3 is stages 3 and 4 of the source.",
        ),
    )

    def find(self, source: Path) -> Sequence[RecordRef]:
        """List the pairs of files, see ``DatasetLayout``."""
        refs = []
        for path in sorted(source.rglob("*-PSG.edf")):
            match = _PSG.fullmatch(path.name)
            if match is None:
                raise DataError(
                    f"{path} is not named like a night of Sleep-EDF, such as SC4001E0-PSG.edf; "
                    "rename or remove it."
                )
            hypnograms = sorted(path.parent.glob(f"{path.name[:7]}*-Hypnogram.edf"))
            if len(hypnograms) != 1:
                found = ", ".join(other.name for other in hypnograms) or "none"
                raise DataError(
                    f"{path} needs one {path.name[:7]}?-Hypnogram.edf beside it; found: {found}. "
                    "Copy it there, or remove the night."
                )
            files = [other.relative_to(source).as_posix() for other in (path, *hypnograms)]
            refs.append(RecordRef(record_id=match[1], subject_id=match[1][:5], files=tuple(files)))
        if not refs:
            raise DataError(
                f"{source} contains no nights such as SC4001E0-PSG.edf; give the folder of "
                "sleep-edfx, or check --source."
            )
        reject_duplicates(refs, str(source))
        return refs

    def read(self, source: Path, ref: RecordRef) -> Recording:
        """Read a night and its stages, see ``DatasetLayout``."""
        night, hypnogram = (source / name for name in ref.files)
        with _open_edf(night) as edf:
            chosen, conversions = _choose(edf.signals, night)
            rate_hz = float(chosen[0].sampling_frequency)
            signal = np.stack([signal.data.astype(np.float32) for signal in chosen])
            begin = edf.starttime
            attributes = _attributes(ref.record_id, edf.local_patient_identification)
        with _open_edf(hypnogram) as scored:
            if scored.starttime != begin:
                raise UnreadableError(
                    f"{hypnogram} begins at {scored.starttime}, {night.name} at {begin}; they are "
                    "not from the same night. Copy both again."
                )
            scored_stages = [(a.onset, a.duration, a.text) for a in scored.annotations]
        annotations, num_outside = _stages(scored_stages, rate_hz, signal.shape[1], hypnogram)
        if num_outside:
            attributes["stages_after_the_end"] = num_outside
        return Recording(
            signal=signal,
            channels=tuple(canonical_name(signal.label) for signal in chosen),
            units=tuple(canonical_unit(signal.physical_dimension) for signal in chosen),
            sampling_rate_hz=rate_hz,
            annotations={"stage": annotations},
            attributes=attributes,
            conversions=tuple(conversions),
        )


@contextlib.contextmanager
def _open_edf(path: Path) -> Iterator["edfio.Edf"]:
    """Open an EDF file; warnings of edfio become errors that name the file."""
    import edfio  # Imported only for EDF files.

    with name_file_in_errors(path, "an EDF file", _ERRORS), warnings.catch_warnings():
        warnings.simplefilter("error")
        edf = edfio.read_edf(path, lazy_load_data=True, header_encoding="latin-1")
        if not edf.is_continuous:
            raise UnreadableError(
                f"{path} has gaps between its data records (EDF+D); exclude the night."
            )
        yield edf


def _choose(
    signals: Sequence["edfio.EdfSignal"], path: Path
) -> tuple[list["edfio.EdfSignal"], list[str]]:
    """Return the selected signals at the rate of the first one, and notes on excluded ones."""
    by_name = {signal.label.strip(): signal for signal in signals}
    available = [by_name[name] for name in _CHANNELS_TO_READ if name in by_name]
    if not available:
        raise UnreadableError(
            f"{path} has none of {', '.join(_CHANNELS_TO_READ)}; it has "
            f"{', '.join(by_name) or 'none'}."
        )
    rate_hz = available[0].sampling_frequency
    chosen = [signal for signal in available if signal.sampling_frequency == rate_hz]
    excluded = [
        f"{name}: excluded, {signal.sampling_frequency:g} Hz"
        for name, signal in by_name.items()
        if signal not in chosen
    ]
    return chosen, excluded


def _attributes(record_id: str, patient: str) -> dict[str, str | float | int | bool]:
    """Return study, night, sex and age, parsed from a field such as 'X F X Female_33yr'."""
    attributes: dict[str, str | float | int | bool] = {
        "study": _STUDIES[record_id[:2]],
        "night": int(record_id[5]),
    }
    parts = patient.split()
    if len(parts) > 1 and parts[1] in SEXES:
        attributes["sex"] = SEXES[parts[1]]
    if age := re.search(r"_(\d+)yr", patient):
        attributes["age"] = float(age[1])
    return attributes


def _stages(
    scored: Sequence[tuple[float, float | None, str]],
    rate_hz: float,
    num_samples: int,
    path: Path,
) -> tuple[Annotations, int]:
    """Return the stages, clipped to the signal, and the number of stages outside it."""
    annotations = []
    num_outside = 0
    for onset_s, seconds, text in scored:
        if text in _UNSCORED:
            continue
        stage = _STAGE_BY_CODE.get(text.removeprefix(_PREFIX)) if text.startswith(_PREFIX) else None
        if stage is None or not seconds or onset_s < 0:
            raise UnreadableError(
                f"{path}: {text!r} at {onset_s:g} s for {seconds} s; expected stages such as "
                f"'{_PREFIX}W' ({', '.join(_STAGE_BY_CODE)}) with a duration. Copy it again."
            )
        start, stop = round(onset_s * rate_hz), round((onset_s + seconds) * rate_hz)
        if start >= num_samples:
            num_outside += 1
            continue
        annotations.append((start, min(stop, num_samples), STAGES.index(stage)))
    return Annotations.from_triples(annotations), num_outside

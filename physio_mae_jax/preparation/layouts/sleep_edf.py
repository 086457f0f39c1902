"""Sleep-EDF Database Expanded (Kemp et al. 2000): nights with scored sleep stages.

A night is a pair ``SC4001E0-PSG.edf`` and ``SC4001EC-Hypnogram.edf``, alike in their first seven
characters; the first five name the subject, the sixth the night. All of a recording is kept, the
day around the night too. Stages of Rechtschaffen and Kales become those of the AASM: 3 and 4 are
N3. Movement and what was not scored ('?') have no annotations.
"""

import contextlib
import dataclasses
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError, naming
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.recording import (
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

STAGES = ("W", "N1", "N2", "N3", "REM")
_STAGE_OF = {"W": "W", "1": "N1", "2": "N2", "3": "N3", "4": "N3", "R": "REM"}
_PREFIX = "Sleep stage "
_UNSCORED = ("Sleep stage ?", "Movement time")
_WANTED = ("EEG Fpz-Cz", "EEG Pz-Oz", "EOG horizontal", "EMG submental")
_PSG = re.compile(r"((?:SC|ST)\d{4})[A-Z]\d-PSG\.edf")
_STUDIES = {"SC": "cassette", "ST": "telemetry"}
_SEXES = {"M": "male", "F": "female"}
# edfio parses with few checks, and warns where samples are missing.
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
    description = "Sleep-EDF Expanded: EEG, EOG and EMG of whole nights, every 30 s scored."
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
                    f"{path} is not named as nights of Sleep-EDF are, such as SC4001E0-PSG.edf; "
                    "rename it or take it away."
                )
            hypnograms = sorted(path.parent.glob(f"{path.name[:7]}*-Hypnogram.edf"))
            if len(hypnograms) != 1:
                found = ", ".join(other.name for other in hypnograms) or "none"
                raise DataError(
                    f"{path} needs one {path.name[:7]}?-Hypnogram.edf beside it; there is {found}. "
                    "Copy it there, or take the night away."
                )
            files = [other.relative_to(source).as_posix() for other in (path, *hypnograms)]
            refs.append(RecordRef(record_id=match[1], subject_id=match[1][:5], files=tuple(files)))
        if not refs:
            raise DataError(
                f"{source} holds no nights such as SC4001E0-PSG.edf; give the folder of "
                "sleep-edfx, or check --source."
            )
        reject_duplicates(refs, str(source))
        return refs

    def read(self, source: Path, ref: RecordRef) -> Recording:
        """Read a night and its stages, see ``DatasetLayout``."""
        night, hypnogram = (source / name for name in ref.files)
        with _opened(night) as edf:
            chosen, conversions = _choose(edf.signals, night)
            rate_hz = float(chosen[0].sampling_frequency)
            signal = np.stack([signal.data.astype(np.float32) for signal in chosen])
            begin = edf.starttime
            attributes = _attributes(ref.record_id, edf.local_patient_identification)
        with _opened(hypnogram) as scored:
            if scored.starttime != begin:
                raise UnreadableError(
                    f"{hypnogram} begins at {scored.starttime}, {night.name} at {begin}; they are "
                    "not of one night. Copy both again."
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
def _opened(path: Path) -> Iterator[Any]:
    """Open an EDF file, with what edfio only warns of as an error that names the file."""
    import edfio  # Imported only for EDF files.

    with naming(path, "an EDF file", _ERRORS), warnings.catch_warnings():
        warnings.simplefilter("error")
        edf = edfio.read_edf(path, lazy_load_data=True, header_encoding="latin-1")
        if not edf.is_continuous:
            raise UnreadableError(
                f"{path} has gaps between its data records (EDF+D); exclude the night."
            )
        yield edf


def _choose(signals: Sequence[Any], path: Path) -> tuple[list[Any], list[str]]:
    """Return the wanted signals at the rate of the first one, and the excluded ones."""
    by_name = {signal.label.strip(): signal for signal in signals}
    wanted = [by_name[name] for name in _WANTED if name in by_name]
    if not wanted:
        raise UnreadableError(
            f"{path} has none of {', '.join(_WANTED)}; it has {', '.join(by_name) or 'none'}."
        )
    rate_hz = wanted[0].sampling_frequency
    chosen = [signal for signal in wanted if signal.sampling_frequency == rate_hz]
    excluded = [
        f"{name}: excluded, {signal.sampling_frequency:g} Hz"
        for name, signal in by_name.items()
        if signal not in chosen
    ]
    return chosen, excluded


def _attributes(record_id: str, patient: str) -> dict[str, str | float | int | bool]:
    """Return study, night, and sex and age out of a field such as 'X F X Female_33yr'."""
    attributes: dict[str, str | float | int | bool] = {
        "study": _STUDIES[record_id[:2]],
        "night": int(record_id[5]),
    }
    parts = patient.split()
    if len(parts) > 1 and parts[1] in _SEXES:
        attributes["sex"] = _SEXES[parts[1]]
    if age := re.search(r"_(\d+)yr", patient):
        attributes["age"] = float(age[1])
    return attributes


def _stages(
    scored: Sequence[tuple[float, float | None, str]],
    rate_hz: float,
    num_samples: int,
    path: Path,
) -> tuple[Annotations, int]:
    """Return the stages, cut at the end of the signal, and how many lie beyond it."""
    annotations = []
    num_outside = 0
    for onset_s, seconds, text in scored:
        if text in _UNSCORED:
            continue
        stage = _STAGE_OF.get(text.removeprefix(_PREFIX)) if text.startswith(_PREFIX) else None
        if stage is None or not seconds or onset_s < 0:
            raise UnreadableError(
                f"{path}: {text!r} at {onset_s:g} s for {seconds} s; expected stages such as "
                f"'{_PREFIX}W' ({', '.join(_STAGE_OF)}) with a duration. Copy it again."
            )
        start, stop = round(onset_s * rate_hz), round((onset_s + seconds) * rate_hz)
        if start >= num_samples:
            num_outside += 1
            continue
        annotations.append((start, min(stop, num_samples), STAGES.index(stage)))
    return Annotations.of(annotations), num_outside

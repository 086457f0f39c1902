"""EEG During Mental Arithmetic Tasks, EEGMAT (Zyma et al. 2019): rest, then serial subtraction.

Each subject has a recording at rest of about three minutes, ``Subject00_1.edf``, and one of the
first minute of arithmetic, ``Subject00_2.edf``. Variant 'edf' reads these files of PhysioNet, 500
Hz; 'flac' reads a packed copy at 128 Hz. Both need ``subject-info.csv``, which may list more
subjects than there are files. All 19 electrodes are referenced to both ears; the channel 'EEG
A2-A1' is the voltage between the ears, not that of a scalp electrode, and is excluded. Files end in
two seconds of padding, in which each channel repeats its last value and is then zero; as the
padding differs between rest and arithmetic, it is removed.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.edf_record import probe_edf, read_edf
from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.packed_flac import (
    check_length,
    check_rows,
    packed_table,
    read_values,
)
from physio_mae_jax.preparation.layouts.several_forms import SeveralForms
from physio_mae_jax.preparation.recording import (
    SEXES,
    LabelTask,
    Recording,
    RecordRef,
    TrainingDefaults,
    reject_duplicates,
    require_file,
)
from physio_mae_jax.preparation.tables import read_table
from physio_mae_jax.signals.channels import canonical_name
from physio_mae_jax.signals.units import canonical_unit

CLASSES = ("rest", "arithmetic")
ELECTRODES = (
    *("EEG_FP1", "EEG_FP2", "EEG_F3", "EEG_F4", "EEG_F7", "EEG_F8", "EEG_T3", "EEG_T4"),
    *("EEG_C3", "EEG_C4", "EEG_T5", "EEG_T6", "EEG_P3", "EEG_P4", "EEG_O1", "EEG_O2"),
    *("EEG_FZ", "EEG_CZ", "EEG_PZ"),
)
_CHANNELS = (*ELECTRODES, "ECG")
_REFERENCE = "EEG A2-A1"
_PACKED = "eegmat_128hz"
# In a resampled signal the zeros last a little less than one second.
_ZEROS_S, _PADDING_S = 0.8, 2.0
_CUT = "the last 2 s, which are padding: cut"
_FILE = re.compile(r"(Subject\d\d)_([12])\.edf")
_INFO = ("Subject", "Age", "Gender", "Recording year", "Number of subtractions", "Count quality")
_PERFORMANCES = {"0": "bad", "1": "good"}


@dataclasses.dataclass(frozen=True)
class Eegmat(SeveralForms):
    """Layout of EEGMAT, form 'edf' or 'flac'."""

    form: str = "edf"

    name = "eegmat"
    defaults = TrainingDefaults(
        channels=",".join(ELECTRODES), max_window_seconds=60.0, task="arithmetic"
    )
    description = "EEGMAT: EEG of 19 electrodes and ECG, at rest and during mental arithmetic."
    homepage = "https://physionet.org/content/eegmat/"
    citation = "Zyma et al., Electroencephalograms during mental arithmetic task performance, 2019"
    license = "ODC-BY 1.0"
    expected_channels = _CHANNELS
    collected_form = "flac"
    source_filters = (
        "high-pass, notch at 50 Hz, artifacts removed by independent component analysis"
    )
    collected_filters = "resampled from 500 to 128 Hz"
    tasks = (
        LabelTask(
            name="arithmetic",
            classes=CLASSES,
            exclusive=True,
            description="Rest before, or mental arithmetic.",
        ),
    )

    def find(self, source: Path) -> Sequence[RecordRef]:
        """List the recordings, see ``DatasetLayout``."""
        subjects = _read_subjects(source / "subject-info.csv")
        refs = _find_packed(source) if self.is_collected else _find_files(source)
        reject_duplicates(refs, str(source))
        for ref in refs:
            if ref.subject_id not in subjects:
                raise DataError(
                    f"{source / 'subject-info.csv'} has no row for {ref.subject_id} of "
                    f"{ref.files[0]}; copy the table again, or remove the file."
                )
        return [
            dataclasses.replace(
                ref, details={**ref.details, "attributes": subjects[ref.subject_id]}
            )
            for ref in refs
        ]

    def read(self, source: Path, ref: RecordRef) -> Recording:
        """Read a recording, see ``DatasetLayout``."""
        read = _read_packed if self.is_collected else _read_file
        signal, labels, units, rate_hz = read(source, ref)
        num_samples = _num_samples_before_padding(signal, rate_hz)
        channels = [canonical_name(label) for label in labels]
        kept = [row for row, name in enumerate(channels) if name in _CHANNELS]
        if not set(channels) & set(ELECTRODES):
            raise UnreadableError(
                f"{source / ref.files[0]} has none of the electrodes of EEGMAT, such as 'EEG Fp1'; "
                f"it has {', '.join(labels) or 'no channels'}. Copy it again, or exclude it."
            )
        return Recording(
            signal=signal[kept, :num_samples],
            channels=tuple(channels[row] for row in kept),
            units=tuple(units[row] for row in kept),
            sampling_rate_hz=rate_hz,
            labels={"arithmetic": self.tasks[0].encode([ref.details["condition"]])},
            attributes=ref.details["attributes"],
            conversions=(
                *(_excluded(label) for row, label in enumerate(labels) if row not in kept),
                *((_CUT,) if num_samples < signal.shape[1] else ()),
            ),
        )


# Samples [M, n], channel names as spelled, units and rate.
_Signals = tuple[np.ndarray, tuple[str, ...], tuple[str, ...], float]


def _excluded(label: str) -> str:
    return f"{label}: excluded, {'the reference' if label == _REFERENCE else 'not known'}"


def _num_samples_before_padding(signal: np.ndarray, rate_hz: float) -> int:
    """Return the length [n] of the recorded part of samples [M, n]."""
    num_samples = signal.shape[1]
    # Digital zeros may differ slightly from 0 in physical units.
    changes = np.ptp(signal[:, -round(_ZEROS_S * rate_hz) :], axis=1).any()
    padding = 0 if changes else round(_PADDING_S * rate_hz)
    return num_samples - padding if num_samples > padding else num_samples


def _read_subjects(path: Path) -> dict[str, dict[str, object]]:
    """Return the attributes of each subject."""
    require_file(path, "the table of the subjects of EEGMAT")
    subjects: dict[str, dict[str, object]] = {}
    for row in read_table(path, _INFO):
        try:
            subjects[row["Subject"]] = {
                "age": float(row["Age"]),
                "sex": SEXES[row["Gender"]],
                "recording_year": int(row["Recording year"]),
                "subtractions": float(row["Number of subtractions"]),
                "performance": _PERFORMANCES[row["Count quality"]],
            }
        except (ValueError, KeyError) as error:
            raise DataError(
                f"{path}: the row of {row['Subject']} has {error} where a number, a sex F or M, or "
                "a count quality 0 or 1 is expected; copy the table again."
            ) from error
    return subjects


def _ref(subject: str, condition: int, files: tuple[str, ...], **details: object) -> RecordRef:
    return RecordRef(
        record_id=f"{subject}_{condition}",
        subject_id=subject,
        files=files,
        details={"condition": CLASSES[condition - 1], **details},
    )


def _find_files(source: Path) -> list[RecordRef]:
    refs = []
    for path in sorted(source.rglob("*.edf")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise DataError(
                f"{path} does not have the name of a recording of EEGMAT, such as "
                "Subject00_1.edf; rename or remove it."
            )
        refs.append(_ref(match[1], int(match[2]), (path.relative_to(source).as_posix(),)))
    if not refs:
        raise DataError(
            f"{source} contains no files such as Subject00_1.edf; give the folder of EEGMAT, or "
            "prepare a packed copy as 'eegmat/flac'."
        )
    return refs


def _read_file(source: Path, ref: RecordRef) -> _Signals:
    path = source / ref.files[0]
    facts = probe_edf(path, ManifestEntry(label=path.name, file=path.name))
    assert facts.shape is not None
    assert facts.samples_per_frame is not None
    labels, rates = facts.channels or (), set(facts.rates_hz or ())
    if len(rates) != 1:
        raise UnreadableError(
            f"{path} has channels at {', '.join(f'{rate:g}' for rate in sorted(rates))} Hz; one "
            "rate is expected. Copy it again, or exclude it."
        )
    num_samples = facts.shape[0] * max(facts.samples_per_frame)
    signal = read_edf(path, range(len(labels)), num_samples, 0, num_samples)
    units = tuple(canonical_unit(unit) for unit in facts.units or ())
    return signal, tuple(labels), units, rates.pop()


def _packed(source: Path) -> Mapping[str, np.ndarray]:
    path = source / f"{_PACKED}.npz"
    rows = ("n_samp", "subject", "condition")
    arrays = packed_table(
        path,
        (*rows, "channels", "uv_per_unit", "fs"),
        "the packed recordings; for EDF files prepare 'eegmat/edf'",
    )
    check_rows(path, arrays, rows)
    check_rows(path, arrays, ("channels", "uv_per_unit"))
    if not np.isin(arrays["condition"], (1, 2)).all() or not (arrays["n_samp"] > 0).all():
        raise UnreadableError(
            f"{path}: 'condition' is 1 (rest) or 2 (arithmetic) and 'n_samp' above 0; found "
            f"{np.unique(arrays['condition']).tolist()} and {arrays['n_samp'].min()} or more. Copy "
            "the file again."
        )
    return arrays


def _find_packed(source: Path) -> list[RecordRef]:
    arrays = _packed(source)
    stops = len(arrays["channels"]) * np.cumsum(arrays["n_samp"], dtype=np.int64)
    check_length(source / f"{_PACKED}.flac", int(stops[-1]))
    return [
        _ref(
            str(subject),
            int(condition),
            (f"{_PACKED}.flac", f"{_PACKED}.npz", "subject-info.csv"),
            start=stop - len(arrays["channels"]) * num_samples,
            num_samples=num_samples,
        )
        for subject, condition, stop, num_samples in zip(
            *(column.tolist() for column in (arrays["subject"], arrays["condition"], stops)),
            arrays["n_samp"].tolist(),
            strict=True,
        )
    ]


def _read_packed(source: Path, ref: RecordRef) -> _Signals:
    arrays = _packed(source)
    labels = tuple(arrays["channels"].tolist())
    shape = (len(labels), ref.details["num_samples"])
    start = ref.details["start"]
    values = read_values(source / ref.files[0], start, start + shape[0] * shape[1])
    signal = values.reshape(shape) * arrays["uv_per_unit"][:, None]
    return signal.astype(np.float32), labels, ("uV",) * len(labels), float(arrays["fs"])

"""WESAD (Schmidt et al. 2018): a chest belt and an Empatica E4 during an affect protocol.

Variants 'chest' (RespiBAN, 700 Hz) and 'wrist' (E4, resampled to 64 Hz) read ``S2/S2.pkl``, in
which the authors synchronized both devices and labelled them at 700 Hz. Chest signals are in mV,
uS, degC, g and percent; wrist signals are as exported by the E4, ACC in 1/64 g
(``wesad_readme.pdf``). 'e4' reads the raw export ``S2/S2_E4_Data``, which has no labels. Pickles
are read without executing code.
"""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.restricted_pickle import read_pickled_arrays
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.empatica import (
    E4_CHANNELS,
    E4_SENSORS,
    Track,
    align_tracks,
    e4_recording,
    find_exports,
    read_export,
    tracks_from_samples,
)
from physio_mae_jax.preparation.layouts.interval_runs import label_annotations
from physio_mae_jax.preparation.recording import (
    DatasetLayout,
    LabelTask,
    Recording,
    RecordRef,
    TrainingDefaults,
    reject_duplicates,
)

CLASSES = ("undefined", "baseline", "stress", "amusement", "meditation")
# Labels 5, 6 and 7 "should be ignored" (readme) and become undefined.
_NUM_LABELS = 8
_CHEST_RATE_HZ = 700.0
# Upper-case key of the pickle -> channels and unit.
_CHEST: dict[str, tuple[tuple[str, ...], str]] = {
    "ECG": (("ECG",), "mV"),
    "ACC": (("ACC_X", "ACC_Y", "ACC_Z"), "g"),
    "EMG": (("EMG",), "mV"),
    "EDA": (("EDA",), "uS"),
    "TEMP": (("TEMP",), "degC"),
    "RESP": (("RESP",), "%"),
}
_SUBJECT = re.compile(r"S\d+")


@dataclasses.dataclass(frozen=True)
class Wesad(DatasetLayout):
    """Layout of WESAD, variant 'chest', 'wrist' or 'e4'."""

    device: str = "chest"

    name = "wesad"
    defaults = TrainingDefaults(task="affect", classes="baseline,stress,amusement")
    description = (
        "WESAD: chest and wrist signals of 15 subjects under stress, amusement and at rest."
    )
    homepage = "https://archive.ics.uci.edu/dataset/465/wesad"
    citation = "Schmidt et al., Introducing WESAD, a multimodal dataset for wearable stress, 2018"
    license = "free for research and teaching"

    @property
    def variant(self) -> str:
        """'chest', 'wrist' or 'e4'."""
        return self.device

    @property
    def expected_channels(self) -> tuple[str, ...]:
        """All of the device."""
        chest = tuple(channel for channels, _ in _CHEST.values() for channel in channels)
        return chest if self.device == "chest" else E4_CHANNELS

    @property
    def tasks(self) -> tuple[LabelTask, ...]:
        """The condition of the protocol, where the variant has labels."""
        task = LabelTask(
            name="affect",
            classes=CLASSES,
            level="interval",
            exclusive=True,
            description="Condition of the protocol; 'undefined' is the time between conditions.",
        )
        return () if self.device == "e4" else (task,)

    def find(self, source: Path) -> Sequence[RecordRef]:
        """List the subjects, see ``DatasetLayout``."""
        if self.device == "e4":
            return find_exports(source)
        paths = [path for path in sorted(source.rglob("S*.pkl")) if _SUBJECT.fullmatch(path.stem)]
        if not paths:
            raise DataError(
                f"{source} contains no pickles such as S2/S2.pkl; give the unpacked folder WESAD."
            )
        refs = [
            RecordRef(
                record_id=path.stem,
                subject_id=path.stem,
                files=(path.relative_to(source).as_posix(),),
            )
            for path in paths
        ]
        reject_duplicates(refs, str(source))
        return refs

    def read(self, source: Path, ref: RecordRef) -> Recording:
        """Read a subject, see ``DatasetLayout``."""
        if self.device == "e4":
            aligned = read_export(source, ref)
            return e4_recording(aligned, attributes={"start_epoch_s": aligned.start_s})
        path = source / ref.files[0]
        content = _decode_keys(read_pickled_arrays(path))
        subject = _text(_part(content, "subject", path))
        if subject != ref.subject_id:
            raise UnreadableError(
                f"{path} has subject {subject!r}; its file name has {ref.subject_id!r}. Move the "
                "file to its subject's folder."
            )
        sensors = _part(_part(content, "signal", path), self.device, path)
        labels = _labels(_part(content, "label", path), path)
        tracks = _chest_tracks(sensors, path) if self.device == "chest" else _wrist(sensors, path)
        aligned = align_tracks(tracks, str(path))
        annotations = label_annotations(
            labels,
            label_rate_hz=_CHEST_RATE_HZ,
            sampling_rate_hz=aligned.sampling_rate_hz,
            num_samples=aligned.signal.shape[1],
        )
        if self.device == "wrist":
            return e4_recording(aligned, annotations={"affect": annotations})
        return Recording(
            signal=aligned.signal,
            channels=tuple(track.name for track in tracks),
            units=tuple(track.unit for track in tracks),
            sampling_rate_hz=aligned.sampling_rate_hz,
            annotations={"affect": annotations},
            conversions=aligned.conversions,
        )


def _text(value: Any) -> Any:
    return value.decode("latin1") if isinstance(value, bytes) else value


def _decode_keys(value: Any) -> Any:
    """Decode the keys of nested dictionaries: Python 2 pickles may have bytes."""
    if not isinstance(value, dict):
        return value
    return {_text(key): _decode_keys(part) for key, part in value.items()}


def _part(content: Any, key: str, path: Path) -> Any:
    """Return an entry of a dictionary of the pickle."""
    if isinstance(content, dict) and key in content:
        return content[key]
    found = ", ".join(map(str, content)) if isinstance(content, dict) else str(type(content))
    raise UnreadableError(
        f"{path} has no {key!r}; it has {found}. A pickle of WESAD is "
        "{'signal': {'chest': ..., 'wrist': ...}, 'label': ..., 'subject': ...}."
    )


def _sensor(sensors: Any, key: str, path: Path) -> np.ndarray:
    """Return the values of a sensor; key case is ignored."""
    if isinstance(sensors, dict):
        sensors = {str(name).upper(): part for name, part in sensors.items()}
    values = _part(sensors, key, path)
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf":
        raise UnreadableError(
            f"{path}: {key} is a {type(values).__name__}; an array of numbers is expected."
        )
    return values


def _chest_tracks(sensors: Any, path: Path) -> list[Track]:
    tracks = []
    for key, (names, unit) in _CHEST.items():
        values = _sensor(sensors, key, path)
        if values.ndim != 2 or values.shape[1] != len(names) or not len(values):
            raise UnreadableError(
                f"{path}: {key} of the chest has shape {values.shape}; samples in {len(names)} "
                "columns are expected."
            )
        tracks += [
            Track(name=name, values=column, sampling_rate_hz=_CHEST_RATE_HZ, unit=unit)
            for name, column in zip(names, values.T, strict=True)
        ]
    return tracks


def _wrist(sensors: Any, path: Path) -> list[Track]:
    return [
        track
        for key, (_, _, rate_hz, _) in E4_SENSORS.items()
        for track in tracks_from_samples(key, _sensor(sensors, key, path), rate_hz, 0.0, str(path))
    ]


def _labels(labels: Any, path: Path) -> np.ndarray:
    """Return labels [T] as indices of ``CLASSES``."""
    if not isinstance(labels, np.ndarray) or labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise UnreadableError(f"{path}: 'label' must be a 1-D array of integers.")
    unknown = sorted(set(np.unique(labels).tolist()) - set(range(_NUM_LABELS)))
    if unknown:
        raise UnreadableError(
            f"{path}: label {unknown[0]} occurs; labels of WESAD are 0 to {_NUM_LABELS - 1}."
        )
    return np.where(labels < len(CLASSES), labels, 0)

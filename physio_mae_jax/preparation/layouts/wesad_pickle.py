"""The pickles of WESAD, ``S2/S2.pkl``: synchronized recordings of both devices, with labels.

A pickle is {'signal': {'chest': ..., 'wrist': ...}, 'label': ..., 'subject': ...}, with labels at
700 Hz. It is read without executing code that it contains.
"""

from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.restricted_pickle import read_pickled_arrays
from physio_mae_jax.preparation.layouts.empatica import E4_SENSORS, Track, tracks_from_samples
from physio_mae_jax.preparation.layouts.wesad_protocol import CLASSES

CHEST_RATE_HZ = 700.0
# Key of the pickle, in capitals -> channels and unit.
CHEST: dict[str, tuple[tuple[str, ...], str]] = {
    "ECG": (("ECG",), "mV"),
    "ACC": (("ACC_X", "ACC_Y", "ACC_Z"), "g"),
    "EMG": (("EMG",), "mV"),
    "EDA": (("EDA",), "uS"),
    "TEMP": (("TEMP",), "degC"),
    "RESP": (("RESP",), "%"),
}
# Labels 5, 6 and 7 "should be ignored" (readme): they count as undefined.
_NUM_LABELS = 8


def read_subject(path: Path, subject: str) -> object:
    """Read the pickle of a subject.

    Returns:
        Its dictionary, with string keys.

    Raises:
        DataError: the pickle names a function or class.
        UnreadableError: it is damaged, or belongs to another subject.
    """
    content = _with_text_keys(read_pickled_arrays(path))
    found = _text(_part(content, "subject", path))
    if found != subject:
        raise UnreadableError(
            f"{path} has subject {found!r}; its file name has {subject!r}. Move the file to its "
            "subject's folder."
        )
    return content


def sensors_of(content: object, device: str, path: Path) -> object:
    """Return the sensors of a device, 'chest' or 'wrist'.

    Raises:
        UnreadableError: there are none.
    """
    return _part(_part(content, "signal", path), device, path)


def sensor_values(sensors: object, key: str, path: Path) -> np.ndarray:
    """Return the values of a sensor; the case of its key is ignored.

    Raises:
        UnreadableError: it is missing, or not an array of numbers.
    """
    if isinstance(sensors, dict):
        sensors = {str(name).upper(): part for name, part in sensors.items()}
    values = _part(sensors, key, path)
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf":
        raise UnreadableError(
            f"{path}: {key} is a {type(values).__name__}; an array of numbers is expected."
        )
    return values


def chest_tracks(sensors: object, path: Path) -> list[Track]:
    """Make tracks of the sensors of the chest.

    Raises:
        UnreadableError: a sensor is missing, or its shape is wrong.
    """
    tracks = []
    for key, (names, unit) in CHEST.items():
        values = sensor_values(sensors, key, path)
        if values.ndim != 2 or values.shape[1] != len(names) or not len(values):
            raise UnreadableError(
                f"{path}: {key} of the chest has shape {values.shape}; samples in {len(names)} "
                "columns are expected."
            )
        tracks += [
            Track(name=name, values=column, sampling_rate_hz=CHEST_RATE_HZ, unit=unit)
            for name, column in zip(names, values.T, strict=True)
        ]
    return tracks


def wrist_tracks(sensors: object, path: Path) -> list[Track]:
    """Make tracks of the wrist sensors (an Empatica E4).

    Raises:
        UnreadableError: a sensor is missing, or its shape is wrong.
    """
    return [
        track
        for key, kind in E4_SENSORS.items()
        for track in tracks_from_samples(
            key, sensor_values(sensors, key, path), kind.rate_hz, 0.0, str(path)
        )
    ]


def affect_labels(content: object, path: Path) -> np.ndarray:
    """Return labels [T] at 700 Hz as indices of ``CLASSES``.

    Raises:
        UnreadableError: there are none, or a label is unknown.
    """
    labels = _part(content, "label", path)
    if not isinstance(labels, np.ndarray) or labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise UnreadableError(f"{path}: 'label' must be a 1-D array of integers.")
    unknown = sorted(set(np.unique(labels).tolist()) - set(range(_NUM_LABELS)))
    if unknown:
        raise UnreadableError(
            f"{path}: label {unknown[0]} occurs; labels of WESAD are 0 to {_NUM_LABELS - 1}."
        )
    return np.where(labels < len(CLASSES), labels, 0)


def _text(value: object) -> object:
    return value.decode("latin1") if isinstance(value, bytes) else value


def _with_text_keys(value: object) -> object:
    """Convert the keys of nested dictionaries to strings; pickles of Python 2 may have bytes."""
    if not isinstance(value, dict):
        return value
    return {_text(key): _with_text_keys(part) for key, part in value.items()}


def _part(content: object, key: str, path: Path) -> object:
    """Return an entry of a dictionary of the pickle."""
    if isinstance(content, dict) and key in content:
        return content[key]
    found = ", ".join(map(str, content)) if isinstance(content, dict) else str(type(content))
    raise UnreadableError(
        f"{path} has no {key!r}; it has {found}. A pickle of WESAD is "
        "{'signal': {'chest': ..., 'wrist': ...}, 'label': ..., 'subject': ...}."
    )

"""Wrist recordings of WESAD as exported by the E4, longer than in the pickles, with labels.

If ``S2.pkl`` is beside the export, its labels are used; its accelerometer signal is a part of the
exported one and gives the time offset. Otherwise the labels are the conditions of
``S2_quest.csv``, whose protocol starts at a double tap of the wrist. 'npz' is a collected file of
exports with one label per second.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.vendors.empatica_e4 import ACC_COUNTS_PER_G
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.empatica import (
    E4_SENSORS,
    AlignedTracks,
    Track,
    align_tracks,
    e4_recording,
    export_tracks,
    find_exports,
    tracks_from_samples,
)
from physio_mae_jax.preparation.layouts.interval_runs import label_annotations
from physio_mae_jax.preparation.layouts.npz_arrays import load_npz
from physio_mae_jax.preparation.layouts.wesad_pickle import (
    CHEST_RATE_HZ,
    affect_labels,
    read_subject,
    sensor_values,
    sensors_of,
)
from physio_mae_jax.preparation.layouts.wesad_protocol import (
    CLASSES,
    affect_annotations,
    find_double_tap,
    read_protocol,
    stress_annotations,
)
from physio_mae_jax.preparation.recording import Annotations, Recording, RecordRef
from physio_mae_jax.types import JsonMapping, JsonObject

BY_PICKLE = "labels from the pickle, aligned with the export by its accelerometer signal"
BY_TAP = "labels from the questionnaire, aligned with the export by the double tap of the wrist"
NOT_FOUND = "pickle not used: its accelerometer signal does not occur in the export"
AMBIGUOUS = "start of the protocol uncertain: a second double tap is nearly as distinct"
_AMBIGUOUS_RATIO = 0.8  # of the contrasts of the second and the first double tap
_ACC_RATE_HZ = E4_SENSORS["ACC"].rate_hz
# Number of ACC samples that are compared first; 20 s of movement occur only once.
_COMPARED = 640
_NPZ = "wesad_e4.npz"
_COLLECTED = re.compile(r"(S\d+)_BVP")
_BVP_SCALE = 100
_NUM_LABELS = 8


def find_wrists(source: Path) -> list[RecordRef]:
    """List the exports, with the questionnaire and the pickle of the subject if present.

    Raises:
        DataError: there are no exports.
    """
    return [_with_labels(source, ref) for ref in find_exports(source)]


def _with_labels(source: Path, ref: RecordRef) -> RecordRef:
    """Add the files with labels, which are beside the export or one folder above it."""
    folder = Path(ref.files[0]).parent
    found = {}
    for kind, name in (
        ("quest", f"{ref.subject_id}_quest.csv"),
        ("pickle", f"{ref.subject_id}.pkl"),
    ):
        for candidate in dict.fromkeys((folder / name, folder.parent / name)):
            if (source / candidate).is_file():
                found[kind] = candidate.as_posix()
                break
    return dataclasses.replace(
        ref, files=(*ref.files, *found.values()), details={**ref.details, **found}
    )


def read_wrist(source: Path, ref: RecordRef) -> Recording:
    """Read an export and its labels.

    Raises:
        DataError: a file is missing.
        UnreadableError: a file is damaged, or the start of the protocol is not found.
    """
    tracks = export_tracks(source, ref)
    aligned = align_tracks(tracks, str(source / ref.files[0]))
    attributes: JsonObject = {"start_epoch_s": aligned.start_s}
    affect, notes = None, []
    if "pickle" in ref.details:
        affect = _labels_of_pickle(source / ref.details["pickle"], ref.subject_id, tracks, aligned)
        notes.append(NOT_FOUND if affect is None else BY_PICKLE)
    if affect is None and "quest" in ref.details:
        affect, found, more = _labels_of_protocol(source / ref.details["quest"], tracks, aligned)
        attributes |= found
        notes += more
    return _recording(aligned, affect, notes, attributes)


def _recording(
    aligned: AlignedTracks,
    affect: Annotations | None,
    notes: Sequence[str],
    attributes: JsonMapping,
) -> Recording:
    annotations = {} if affect is None else {"affect": affect, "stress": stress_annotations(affect)}
    recording = e4_recording(aligned, annotations=annotations, attributes=attributes)
    return dataclasses.replace(recording, conversions=(*recording.conversions, *notes))


def _acceleration(tracks: Sequence[Track]) -> tuple[np.ndarray, float]:
    """Return ACC [n, 3] in g and its start in seconds."""
    axes = [track for track in tracks if track.name.startswith("ACC")]
    return np.stack([track.values for track in axes], axis=1), axes[0].start_s


def _labels_of_protocol(
    path: Path, tracks: Sequence[Track], aligned: AlignedTracks
) -> tuple[Annotations, JsonObject, list[str]]:
    """Return annotations of affect aligned by the double tap, attributes, and conversions."""
    conditions = read_protocol(path)
    acceleration, acc_start_s = _acceleration(tracks)
    seconds = len(acceleration) / _ACC_RATE_HZ
    last_s = max(condition.stop_s for condition in conditions)
    tap = find_double_tap(acceleration, _ACC_RATE_HZ, seconds - last_s)
    if tap is None:
        raise UnreadableError(
            f"{path}: the accelerometer signal has no double tap in the first "
            f"{max(0.0, seconds - last_s):g} s; a protocol of {last_s:g} s that starts later "
            "exceeds the recording. Remove this file to prepare the recording without labels, or "
            "exclude the recording."
        )
    start_s = tap.time_s + acc_start_s - aligned.start_s
    affect = affect_annotations(
        conditions, start_s, aligned.sampling_rate_hz, aligned.signal.shape[1]
    )
    found = {
        "protocol_start_s": start_s,
        "tap_contrast": tap.contrast,
        "next_tap_contrast": tap.next_contrast,
    }
    is_ambiguous = tap.next_contrast > _AMBIGUOUS_RATIO * tap.contrast
    return affect, found, [BY_TAP, *([AMBIGUOUS] if is_ambiguous else [])]


def _labels_of_pickle(
    path: Path, subject: str, tracks: Sequence[Track], aligned: AlignedTracks
) -> Annotations | None:
    """Return annotations of affect; None if the ACC of the pickle is not part of the export."""
    content = read_subject(path, subject)
    pickled = sensor_values(sensors_of(content, "wrist", path), "ACC", path)
    acceleration, acc_start_s = _acceleration(tracks)
    first = find_part(np.round(acceleration * ACC_COUNTS_PER_G), pickled)
    if first is None:
        return None
    return label_annotations(
        affect_labels(content, path),
        label_rate_hz=CHEST_RATE_HZ,
        offset_s=first / _ACC_RATE_HZ + acc_start_s - aligned.start_s,
        sampling_rate_hz=aligned.sampling_rate_hz,
        num_samples=aligned.signal.shape[1],
    )


def find_part(whole: np.ndarray, part: np.ndarray) -> int | None:
    """Return the index of ``part`` [m, k] in ``whole`` [n, k]; None unless it occurs once."""
    if part.ndim != 2 or part.shape[1] != whole.shape[1] or not 0 < len(part) <= len(whole):
        return None
    starts = np.arange(len(whole) - len(part) + 1)
    for offset in range(min(_COMPARED, len(part))):
        starts = starts[(whole[starts + offset] == part[offset]).all(axis=1)]
        if not len(starts):
            return None
    if len(starts) != 1:
        return None
    first = int(starts[0])
    return first if np.array_equal(whole[first : first + len(part)], part) else None


def find_collected(source: Path) -> list[RecordRef]:
    """List the subjects of the collected file.

    Raises:
        DataError: the file is missing or has no subjects.
    """
    arrays = _arrays(source)
    subjects = [match[1] for name in arrays if (match := _COLLECTED.fullmatch(name))]
    if not subjects:
        raise DataError(
            f"{source / _NPZ} has no member such as 'S2_BVP'; it has {', '.join(arrays)}."
        )
    return [RecordRef(record_id=subject, subject_id=subject, files=(_NPZ,)) for subject in subjects]


def read_collected(source: Path, ref: RecordRef) -> Recording:
    """Read a subject of the collected file, in which all sensors have the same start.

    Raises:
        DataError: a member is missing.
        UnreadableError: the shape of a member is wrong, or a label is unknown.
    """
    where = f"{source / _NPZ}, subject {ref.record_id}"
    arrays = _arrays(source)

    def member(name: str) -> np.ndarray:
        if f"{ref.record_id}_{name}" not in arrays:
            raise DataError(f"{source / _NPZ} lacks the member '{ref.record_id}_{name}'.")
        return arrays[f"{ref.record_id}_{name}"]

    tracks = []
    for sensor, kind in E4_SENSORS.items():
        values = member(sensor)
        if sensor == "BVP" and values.dtype.kind in "iuf":
            values = values / _BVP_SCALE
        tracks += tracks_from_samples(sensor, values, kind.rate_hz, 0.0, where)
    aligned = align_tracks(tracks, where)
    labels = member("label1hz")
    if labels.ndim != 1 or not np.isin(labels, range(_NUM_LABELS)).all():
        raise UnreadableError(
            f"{where}: 'label1hz' must have one label per second, from 0 to {_NUM_LABELS - 1}."
        )
    affect = label_annotations(
        np.where(labels < len(CLASSES), labels, 0),
        label_rate_hz=1.0,
        sampling_rate_hz=aligned.sampling_rate_hz,
        num_samples=aligned.signal.shape[1],
    )
    attributes = {
        "start_epoch_s": float(member("t0_unix")),
        "protocol_start_s": float(member("protocol_offset_s")),
    }
    return _recording(aligned, affect, (), attributes)


def _arrays(source: Path) -> Mapping[str, np.ndarray]:
    return load_npz(source / _NPZ, "the collected exports; for exports prepare 'wesad/e4'")

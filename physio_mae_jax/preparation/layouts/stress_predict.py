"""The Stress-Predict Dataset (Iqbal et al. 2022): an Empatica E4 during tasks and rest.

In form 'npz', one collected file, label ``k`` applies to second ``k`` since the start of the BVP.
Form 'e4', the exported folders of the device, has no labels.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.empatica import (
    E4_CHANNELS,
    E4_SENSORS,
    AlignedTracks,
    align_tracks,
    e4_recording,
    find_exports,
    read_export,
    tracks_from_samples,
)
from physio_mae_jax.preparation.layouts.interval_runs import label_annotations
from physio_mae_jax.preparation.layouts.npz_arrays import load_npz
from physio_mae_jax.preparation.layouts.several_forms import SeveralForms
from physio_mae_jax.preparation.recording import (
    Annotations,
    LabelTask,
    Recording,
    RecordRef,
    TrainingDefaults,
)

CLASSES = ("baseline", "stress")
_NO_LABEL = -1
_NPZ = "stress_predict_e4.npz"
_SUBJECT = re.compile(r"(S\d+)_BVP")


@dataclasses.dataclass(frozen=True)
class StressPredict(SeveralForms):
    """Layout of Stress-Predict, form 'npz' or 'e4'; all channels at 64 Hz."""

    form: str = "npz"

    name = "stress_predict"
    defaults = TrainingDefaults(channels="PPG,EDA,ACC_X,ACC_Y,ACC_Z", task="stress")
    description = "Stress-Predict: wrist PPG, EDA, temperature and motion under stress and at rest."
    homepage = "https://github.com/italha-d/Stress-Predict-Dataset"
    citation = "Iqbal et al., Stress monitoring using wearable sensors: Stress-Predict, 2022"
    license = "MIT"
    expected_channels = E4_CHANNELS
    collected_form = "npz"

    @property
    def tasks(self) -> tuple[LabelTask, ...]:
        """The task 'stress', if the form has labels."""
        task = LabelTask(
            name="stress",
            classes=CLASSES,
            level="interval",
            exclusive=True,
            description="A stressful task, or rest.",
        )
        return (task,) if self.is_collected else ()

    def find(self, source: Path) -> Sequence[RecordRef]:
        """List the subjects, see ``DatasetLayout``."""
        if not self.is_collected:
            return find_exports(source)
        arrays = _arrays(source / _NPZ)
        subjects = sorted(match[1] for name in arrays if (match := _SUBJECT.fullmatch(name)))
        if not subjects:
            raise DataError(
                f"{source / _NPZ} has no member such as 'S01_BVP'; it has {', '.join(arrays)}."
            )
        return [
            RecordRef(record_id=subject, subject_id=subject, files=(_NPZ,)) for subject in subjects
        ]

    def read(self, source: Path, ref: RecordRef) -> Recording:
        """Read a subject, see ``DatasetLayout``."""
        if not self.is_collected:
            aligned = read_export(source, ref)
            return e4_recording(aligned, attributes={"start_epoch_s": aligned.start_s})
        path = source / _NPZ
        arrays = _arrays(path)
        where = f"{path}, subject {ref.record_id}"

        def member(name: str) -> np.ndarray:
            if f"{ref.record_id}_{name}" not in arrays:
                raise DataError(f"{path} has no member '{ref.record_id}_{name}'.")
            return arrays[f"{ref.record_id}_{name}"]

        starts_s = {sensor: _number(member(f"{sensor}_t0"), where) for sensor in E4_SENSORS}
        tracks = [
            track
            for sensor, kind in E4_SENSORS.items()
            for track in tracks_from_samples(
                sensor, member(sensor), kind.rate_hz, starts_s[sensor], where
            )
        ]
        aligned = align_tracks(tracks, where)
        annotations = _annotations(member("label1hz"), aligned, starts_s["BVP"], where)
        return e4_recording(
            aligned, annotations=annotations, attributes={"start_epoch_s": aligned.start_s}
        )


def _arrays(path: Path) -> Mapping[str, np.ndarray]:
    return load_npz(path, "the collected recordings; for E4 exports prepare 'stress_predict/e4'")


def _number(value: np.ndarray, where: str) -> float:
    if value.shape != () or not np.isfinite(value):
        raise UnreadableError(f"{where}: a start time is {value}; seconds since 1970 are expected.")
    return float(value)


def _annotations(
    labels: np.ndarray, aligned: AlignedTracks, start_s: float, where: str
) -> dict[str, Annotations]:
    """Create annotations from labels [seconds] that begin at ``start_s``.

    Empty if there are no labels.
    """
    if not np.isin(labels, (_NO_LABEL, *range(len(CLASSES)))).all():
        raise UnreadableError(
            f"{where}: labels {', '.join(map(str, np.unique(labels)))}; expected 1 (stress), 0 "
            "(baseline) and -1 (none)."
        )
    if (labels == _NO_LABEL).all():
        return {}
    annotations = label_annotations(
        labels,
        label_rate_hz=1.0,
        offset_s=start_s - aligned.start_s,
        sampling_rate_hz=aligned.sampling_rate_hz,
        num_samples=aligned.signal.shape[1],
        excluded=_NO_LABEL,
    )
    return {"stress": annotations}

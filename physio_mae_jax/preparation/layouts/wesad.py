"""WESAD (Schmidt et al. 2018): a chest belt and an Empatica E4 during an affect protocol.

Variants 'chest' (RespiBAN, 700 Hz) and 'wrist' (E4, resampled to 64 Hz) read ``S2/S2.pkl``, in
which the authors synchronized both devices and labeled them at 700 Hz. Chest signals are in mV, uS,
degC, g and percent; wrist signals are as exported by the E4, with ACC in 1/64 g
(``wesad_readme.pdf``). 'e4' reads the complete export of the wrist, ``S2/S2_E4_Data`` or its
``.zip``, with labels from the pickle if present, else from the questionnaire. 'npz' reads a
collected file of some subjects.
"""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.empatica import E4_CHANNELS, align_tracks, e4_recording
from physio_mae_jax.preparation.layouts.interval_runs import label_annotations
from physio_mae_jax.preparation.layouts.several_forms import SeveralForms
from physio_mae_jax.preparation.layouts.wesad_pickle import (
    CHEST,
    CHEST_RATE_HZ,
    affect_labels,
    chest_tracks,
    read_subject,
    sensors_of,
    wrist_tracks,
)
from physio_mae_jax.preparation.layouts.wesad_protocol import (
    CLASSES,
    STRESS_CLASSES,
    stress_annotations,
)
from physio_mae_jax.preparation.layouts.wesad_wrist import (
    find_collected,
    find_wrists,
    read_collected,
    read_wrist,
)
from physio_mae_jax.preparation.recording import (
    LabelTask,
    Recording,
    RecordRef,
    TrainingDefaults,
    reject_duplicates,
)

_SUBJECT = re.compile(r"S\d+")


@dataclasses.dataclass(frozen=True)
class Wesad(SeveralForms):
    """Layout of WESAD, variant 'chest', 'wrist', 'e4' or 'npz'."""

    form: str = "chest"

    name = "wesad"
    version = "1.1.0"  # with labels of stress, and labels of exports
    defaults = TrainingDefaults(task="affect", classes="baseline,stress,amusement")
    description = (
        "WESAD: chest and wrist signals of 15 subjects under stress, amusement and at rest."
    )
    homepage = "https://archive.ics.uci.edu/dataset/465/wesad"
    citation = "Schmidt et al., Introducing WESAD, a multimodal dataset for wearable stress, 2018"
    license = "free for research and teaching"
    collected_form = "npz"
    tasks = (
        LabelTask(
            name="affect",
            classes=CLASSES,
            level="interval",
            exclusive=True,
            description="Condition of the protocol; 'undefined' is the time between conditions.",
        ),
        LabelTask(
            name="stress",
            classes=STRESS_CLASSES,
            level="interval",
            exclusive=True,
            description="Stress, or baseline and amusement; other conditions have no label.",
        ),
    )

    @property
    def expected_channels(self) -> tuple[str, ...]:
        """All channels of the device."""
        chest = tuple(channel for channels, _ in CHEST.values() for channel in channels)
        return chest if self.form == "chest" else E4_CHANNELS

    def find(self, source: Path) -> Sequence[RecordRef]:
        """List the subjects, see ``DatasetLayout``."""
        if self.form == "e4":
            return find_wrists(source)
        if self.is_collected:
            return find_collected(source)
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
        if self.form == "e4":
            return read_wrist(source, ref)
        if self.is_collected:
            return read_collected(source, ref)
        path = source / ref.files[0]
        content = read_subject(path, ref.subject_id)
        sensors = sensors_of(content, self.form, path)
        tracks = (
            chest_tracks(sensors, path) if self.form == "chest" else wrist_tracks(sensors, path)
        )
        aligned = align_tracks(tracks, str(path))
        affect = label_annotations(
            affect_labels(content, path),
            label_rate_hz=CHEST_RATE_HZ,
            sampling_rate_hz=aligned.sampling_rate_hz,
            num_samples=aligned.signal.shape[1],
        )
        annotations = {"affect": affect, "stress": stress_annotations(affect)}
        if self.form == "wrist":
            return e4_recording(aligned, annotations=annotations)
        return Recording(
            signal=aligned.signal,
            channels=tuple(track.name for track in tracks),
            units=tuple(track.unit for track in tracks),
            sampling_rate_hz=aligned.sampling_rate_hz,
            annotations=annotations,
            conversions=aligned.conversions,
        )

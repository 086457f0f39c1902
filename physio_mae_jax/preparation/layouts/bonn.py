"""The EEG segments of the University of Bonn (Andrzejak et al. 2001).

Five sets of a hundred segments: Z and O are scalp EEG of healthy subjects with eyes open and
closed; N, F and S are intracranial EEG of patients, N and F between seizures, S during seizures.
The source does not identify the subject of a segment, so each counts as a separate subject, and a
split by subject may have one subject on both sides. The unit is not stated; microvolts are usually
assumed.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError, name_file_in_errors
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.npz_arrays import load_npz
from physio_mae_jax.preparation.layouts.several_forms import SeveralForms
from physio_mae_jax.preparation.recording import (
    LabelTask,
    Recording,
    RecordRef,
    TrainingDefaults,
    reject_duplicates,
)

SETS = ("Z", "O", "N", "F", "S")
_SEIZURE_SET = "S"
_RATE_HZ = 173.61
_NUM_SAMPLES = 4097
_NPZ = "bonn500.npz"
_FILE = re.compile(r"([ZONFS])(\d{3})\.txt", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Bonn(SeveralForms):
    """Layout of Bonn.

    Form 'npz' is one collected file, form 'txt' the published folders of text files.
    """

    form: str = "npz"

    name = "bonn"
    defaults = TrainingDefaults(channels="EEG", max_window_seconds=20.0, task="set")
    description = "Bonn EEG: 500 single-channel segments of 23.6 s, with and without seizures."
    homepage = (
        "https://www.ukbonn.de/epileptologie/arbeitsgruppen/ag-lehnertz-neurophysik/downloads/"
    )
    citation = "Andrzejak et al., Indications of nonlinear deterministic structures, 2001"
    license = "free for research"
    source_filters = "bandwidth of the acquisition, 0.5 to 85 Hz"
    expected_channels = ("EEG",)
    collected_form = "npz"
    tasks = (
        LabelTask(name="set", classes=SETS, exclusive=True, description="Set of the segment."),
        LabelTask(
            name="seizure",
            classes=("no", "yes"),
            exclusive=True,
            description="Whether the segment is of a seizure (set S).",
        ),
    )

    def find(self, source: Path) -> Sequence[RecordRef]:
        """List the segments, see ``DatasetLayout``."""
        refs = _find_in_npz(source) if self.is_collected else _find_texts(source)
        reject_duplicates(refs, str(source))
        return refs

    def read(self, source: Path, ref: RecordRef) -> Recording:
        """Read a segment, see ``DatasetLayout``."""
        path = source / ref.files[0]
        letter = ref.details["set"]
        values = _arrays(path)["X"][ref.details["row"]] if self.is_collected else _read_text(path)
        set_task, seizure_task = self.tasks
        return Recording(
            signal=np.asarray(values, np.float32)[None],
            channels=("EEG",),
            units=("uV",),
            sampling_rate_hz=_RATE_HZ,
            labels={
                "set": set_task.encode([letter]),
                "seizure": seizure_task.encode(["yes" if letter == _SEIZURE_SET else "no"]),
            },
            attributes={"subject_known": False},
        )


def _find_in_npz(source: Path) -> list[RecordRef]:
    arrays = _arrays(source / _NPZ)
    refs = []
    for row, (name, letter) in enumerate(zip(arrays["name"], arrays["y"], strict=True)):
        match = _FILE.fullmatch(str(name))
        if letter not in SETS or match is None or match[1].upper() != letter:
            raise DataError(
                f"{source / _NPZ}, row {row}: set {str(letter)!r} of segment {str(name)!r}; sets "
                f"are {', '.join(SETS)}, and names begin with the set, such as 'Z001.txt'. Fix 'y' "
                "or 'name'."
            )
        refs.append(_ref(match, _NPZ, {"row": row}))
    return refs


def _arrays(path: Path) -> Mapping[str, np.ndarray]:
    """Load the collected file and check that its members are consistent."""
    arrays = load_npz(path, "the collected segments; for text files prepare 'bonn/txt'")
    missing = [name for name in ("X", "y", "name", "fs") if name not in arrays]
    if missing:
        raise DataError(f"{path} has no {', '.join(missing)}; it has {', '.join(arrays)}.")
    shape, rate = arrays["X"].shape, arrays["fs"]
    if shape != (len(arrays["y"]), _NUM_SAMPLES) or len(arrays["name"]) != len(arrays["y"]):
        raise DataError(
            f"{path}: X has shape {shape}, for {len(arrays['y'])} sets 'y' and "
            f"{len(arrays['name'])} names; expected a row of {_NUM_SAMPLES} samples for each."
        )
    if rate.shape != () or rate != _RATE_HZ:
        raise DataError(
            f"{path}: fs is {rate}; Bonn's segments have {_RATE_HZ} samples per second."
        )
    return arrays


def _find_texts(source: Path) -> list[RecordRef]:
    refs = []
    for path in sorted(source.rglob("*")):
        match = _FILE.fullmatch(path.name)
        if match is not None:
            refs.append(_ref(match, path.relative_to(source).as_posix(), {}))
    if not refs:
        raise DataError(
            f"{source} contains none of the folders Z, O, N, F and S with files such as "
            "Z/Z001.txt; unpack the downloaded files there, or check --source."
        )
    return refs


def _ref(match: re.Match[str], file: str, details: Mapping[str, int]) -> RecordRef:
    letter = match[1].upper()
    record_id = letter + match[2]
    return RecordRef(
        record_id=record_id,
        subject_id=record_id,
        files=(file,),
        details={"set": letter, **details},
    )


def _read_text(path: Path) -> np.ndarray:
    """Read one integer per line, [4097]."""
    with name_file_in_errors(path, "one integer per line", (OSError, ValueError)):
        values = np.loadtxt(path, dtype=np.int64, comments=None, ndmin=1)
    if values.shape != (_NUM_SAMPLES,):
        raise UnreadableError(
            f"{path} contains numbers of shape {values.shape}; a segment has {_NUM_SAMPLES}, one "
            "per line. Copy it again from its source."
        )
    return values

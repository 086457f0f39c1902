"""Windows that quantization is calibrated with, and others that it is evaluated on."""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from physio_mae_jax.data.source import SignalSource
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference.arguments import sequence_of
from physio_mae_jax.inference.class_decision import ClassDecision
from physio_mae_jax.inference.edge.contract import fit_channels
from physio_mae_jax.inference.edge.labels import label_matrix, require_varied, window_labels
from physio_mae_jax.inference.encoding_config import EncodingConfig
from physio_mae_jax.inference.inputs import as_recordings
from physio_mae_jax.inference.notes import Note
from physio_mae_jax.inference.recording_plan import EncodingPlan, ModelInput, plan_recordings
from physio_mae_jax.inference.signal_metadata import SignalMetadata
from physio_mae_jax.inference.window_batches import window_batches

MIN_CALIBRATION, MIN_HELD_BACK = 32, 64
_MAX_WINDOWS = 512
_BATCH = 32


class CalibrationWindows(NamedTuple):
    """Windows of recordings, as inputs of a graph.

    Attributes:
        calibration, held_back: Inputs [B, …] of ``contract.fit_channels``.
        num_channels: Number of channels M.
        sha256: Hash of ``calibration``.
        labels, held_back_labels: Labels [B, Y] of the windows, 0 or 1; None without labels.
    """

    calibration: dict[str, np.ndarray]
    held_back: dict[str, np.ndarray]
    num_channels: int
    sha256: str
    labels: np.ndarray | None = None
    held_back_labels: np.ndarray | None = None


class CalibrationSource(NamedTuple):
    """Recordings to calibrate with.

    Attributes:
        source: Readable recordings, with known gaps.
        labels: Labels [R, Y] of the recordings, 0 or 1; None without labels.
        notes: Notes about the recordings so far.
        unknown_channels: Handling of channels that the model does not know, see
            ``EncodingConfig``.
    """

    source: SignalSource
    labels: np.ndarray | None = None
    notes: tuple[Note, ...] = ()
    unknown_channels: str = "error"

    @classmethod
    def of(
        cls,
        recordings: object,
        labels: object,
        description: Mapping[str, object],
        model: ModelInput,
        decision: ClassDecision | None,
    ) -> "CalibrationSource":
        """Read the arguments of ``export.export_edge``.

        Raises:
            UserError: There are no recordings, their description is incomplete, or the labels do
                not fit them.
        """
        if isinstance(recordings, cls):
            return recordings
        if recordings is None:
            raise ConfigError(
                "precision='int8' needs calibration=recordings, with sampling_rate_hz and channels "
                "as for encode; give recordings like those that the device will encode."
            )
        given = as_recordings(recordings, sequence_of(SignalMetadata, description), model.channels)
        rows = None
        if labels is not None:
            rows = label_matrix(labels, len(given.recordings.recordings), decision)
        return cls(given.recordings, rows, given.notes)


def calibration_windows(
    given: CalibrationSource, model: ModelInput, num_channels: int | None
) -> CalibrationWindows:
    """Cut recordings into windows, a third of them for calibration.

    Every third subject is for calibration; of fewer than three, the first third of each recording.

    Args:
        given: Recordings.
        model: Windows of the model.
        num_channels: Number of channels M; None for that of the recordings.

    Raises:
        UserError: The recordings have too few windows or too many channels, or labels that do not
            vary.
    """
    config = EncodingConfig(
        rows="window",
        overlap=0.0,
        on_invalid="skip",
        unknown_channels=given.unknown_channels,
    )
    plan = plan_recordings(given.source, model, config, given.notes)
    present = max((len(one.channels.channels) for one in plan.recordings), default=0)
    count = num_channels or present
    if present > count:
        raise ConfigError(
            f"num_channels is {count}, but a recording of calibration has {present} channels that "
            "the model knows; raise it, or give fewer channels."
        )
    parts = _split(plan, count)
    calibration, held_back = (_stacked([window for _, window in part]) for part in parts)
    sizes = len(parts[0]), len(parts[1])
    if sizes[0] < MIN_CALIBRATION or sizes[1] < MIN_HELD_BACK:
        raise DataError(
            f"calibration gives {sum(sizes)} windows of {model.window.seconds:g} s, of which "
            f"{sizes[0]} calibrate and {sizes[1]} are held back; at least {MIN_CALIBRATION} and "
            f"{MIN_HELD_BACK} are needed. Give more or longer recordings."
        )
    labels = [window_labels(given.labels, [number for number, _ in part]) for part in parts]
    if given.labels is not None:
        require_varied(*(one for one in labels if one is not None))
    return CalibrationWindows(calibration, held_back, count, _hash(calibration), *labels)


_Window = tuple[int, dict[str, np.ndarray]]  # number of the recording, inputs of the graph


def _split(plan: EncodingPlan, num_channels: int) -> tuple[list[_Window], list[_Window]]:
    """Return the windows for calibration and those held back, evenly spread."""
    total = sum(len(one.tiling.columns) for one in plan.recordings if one.tiling)
    step = max(1, -(-total // _MAX_WINDOWS))
    names = [one.info.subject_key for one in plan.recordings]
    subjects = {name: number for number, name in enumerate(dict.fromkeys(names))}
    parts: tuple[list[_Window], list[_Window]] = ([], [])
    number = 0
    for batch in window_batches(plan, batch_size=_BATCH, num_devices=1, num_threads=2):
        inputs = fit_channels(batch.arrays, num_channels)
        for row, (one, column) in enumerate(batch.positions):
            number += 1
            is_whole = "num_valid_columns" not in batch.arrays
            if number % step or not is_whole or not inputs["channel_mask"][row].any():
                continue
            if len(subjects) < 3:
                first = 3 * column < one.num_columns
            else:
                first = subjects[names[one.recording]] % 3 == 0
            window = {name: of[row] for name, of in inputs.items()}
            parts[0 if first else 1].append((one.recording, window))
    return parts


def _stacked(windows: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    if not windows:
        return {"signal": np.zeros((0, 0, 0), np.float32)}
    return {name: np.stack([one[name] for one in windows]) for name in windows[0]}


def _hash(windows: Mapping[str, np.ndarray]) -> str:
    found = hashlib.sha256()
    for name, values in sorted(windows.items()):
        found.update(f"{name} {values.shape}".encode())
        found.update(values.tobytes())
    return found.hexdigest()

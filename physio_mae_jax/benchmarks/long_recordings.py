"""Encoding of long recordings: time to open and to encode, and memory, against their length.

Each length is measured in a new process, since the peak memory of a process never falls.
"""

import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from physio_mae_jax.data.contamination import TrainingProvenance
from physio_mae_jax.data.formats.folder import open_file
from physio_mae_jax.data.input_spec import InputSpec
from physio_mae_jax.data.window_transform import NORMALIZATION
from physio_mae_jax.inference.encoder import Encoder
from physio_mae_jax.inference.model_card import Card
from physio_mae_jax.inference.saved_model import save_model
from physio_mae_jax.inference.trained_model import TrainedModel
from physio_mae_jax.objectives.contrastive import ContrastiveConfig
from physio_mae_jax.training.model_spec import ModelSpec
from physio_mae_jax.training.pretrain_step import PretrainSpec

_LOG = logging.getLogger(__name__)
_HOURS = (1.0, 6.0, 24.0)
_CHANNELS = ("I", "II", "V1")
_RATE_HZ = 250
_COUNTS_PER_MV = 200
_MINUTE = 60 * _RATE_HZ
# Long enough for whole batches.
_SHORT_MINUTES = 10
_PROCESS = "from physio_mae_jax.benchmarks.long_recordings import measure_file"


class LongRecording(NamedTuple):
    """Measurements of one recording.

    Attributes:
        hours: Duration of the recording, hours.
        windows: Encoded windows.
        open_s: Time to open the file, seconds.
        encode_s: Time to encode it, compilation excluded, seconds.
        recordings_per_s: Recordings encoded per second.
        peak_mib: Peak memory of the process, MiB.
        added_mib: Part of it that was added by this recording to that of a short one, MiB.
    """

    hours: float
    windows: int
    open_s: float
    encode_s: float
    recordings_per_s: float
    peak_mib: float
    added_mib: float


def measure_lengths(
    spec: PretrainSpec, batch_size: int, hours: Sequence[float] = _HOURS
) -> list[LongRecording]:
    """Encode recordings of three channels at 250 Hz with an untrained model.

    Args:
        spec: Pre-training whose model is used.
        batch_size: Windows encoded at a time.
        hours: Durations of the recordings, hours.
    """
    found = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _save_untrained(spec, folder / "model")
        write_recording(folder / "short.hea", _SHORT_MINUTES)
        for duration in hours:
            path = folder / "long.hea"
            write_recording(path, max(1, round(60 * duration)))
            found.append(_in_new_process(folder, path, batch_size))
    for line in format_table(found):
        _LOG.info("%s", line)
    return found


def measure_file(model: str, short: str, path: str, batch_size: int) -> LongRecording:
    """Measure one file in this process.

    Args:
        model: Folder of ``save_model``.
        short: Recording that is encoded first, so that everything is compiled and imported.
        path: Recording to measure.
        batch_size: Windows encoded at a time.
    """
    encoder = Encoder.from_pretrained(model, batch_size=batch_size, num_devices=1)
    encoder.encode_file(short, overlap=0.0)
    before = peak_memory_mib()
    begun = time.perf_counter()
    info = open_file(path).recordings[0]
    opened = time.perf_counter()
    report = encoder.encode_file(path, overlap=0.0).report
    taken = time.perf_counter() - opened
    peak = peak_memory_mib()
    return LongRecording(
        hours=info.seconds / 3600,
        windows=report.num_windows,
        open_s=opened - begun,
        encode_s=taken,
        recordings_per_s=1 / taken,
        peak_mib=peak,
        added_mib=peak - before,
    )


def peak_memory_mib() -> float:
    """Return the peak resident memory of this process, MiB; NaN where Linux does not report it."""
    try:
        # Not getrusage, whose peak includes that of the parent process.
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return float("nan")
    sizes = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return sizes[0] / 1024 if sizes else float("nan")


def write_recording(path: Path, minutes: int) -> None:
    """Write a WFDB record of noise that repeats every minute, minute by minute."""
    shape = (_MINUTE, len(_CHANNELS))
    minute = np.random.default_rng(0).normal(0, _COUNTS_PER_MV, shape).astype("<i2").tobytes()
    with path.with_suffix(".dat").open("wb") as file:
        for _ in range(minutes):
            file.write(minute)
    lines = [f"{path.stem} {len(_CHANNELS)} {_RATE_HZ} {minutes * _MINUTE}"]
    signal = f"{path.stem}.dat 16 {_COUNTS_PER_MV}/mV 16 0 0 0 0"
    lines += [f"{signal} {name}" for name in _CHANNELS]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def format_table(found: Sequence[LongRecording]) -> list[str]:
    """Format the measurements as a table, a line of names and one per recording."""
    lines = ["hours  windows  open s  encode s  recordings/s  peak MiB  added MiB"]
    return lines + [
        f"{one.hours:5.3g}  {one.windows:7d}  {one.open_s:6.3f}  {one.encode_s:8.1f}  "
        f"{one.recordings_per_s:12.4f}  {one.peak_mib:8.0f}  {one.added_mib:9.0f}"
        for one in found
    ]


def _in_new_process(folder: Path, path: Path, batch_size: int) -> LongRecording:
    arguments = (str(folder / "model"), str(folder / "short.hea"), str(path), batch_size)
    # Inherits the search path, so that it works from any folder.
    code = (
        f"import json, logging, sys; sys.path[:] = {sys.path!r}; {_PROCESS}; "
        "logging.disable(logging.WARNING); "  # about names of subjects
        f"print(json.dumps(measure_file(*{arguments!r})))"
    )
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return LongRecording(*json.loads(output.splitlines()[-1]))


def _save_untrained(pretraining: PretrainSpec, folder: Path) -> None:
    """Write the model of a pre-training with initial parameters."""
    model = pretraining.model.config
    spec = ModelSpec(
        model=model,
        objective=pretraining.objective,
        contrastive=pretraining.contrastive or ContrastiveConfig(),
        input=InputSpec(
            channels=_CHANNELS,
            num_channels=len(_CHANNELS),
            units=dict.fromkeys(_CHANNELS, "mV"),
            sampling_rate_hz=model.sampling_rate_hz,
            num_samples=model.num_samples,
            band_hz=None,
            normalization=NORMALIZATION,
            filters={},
        ),
        split={},
    )
    params = jax.jit(spec.new_params)(jax.random.key(0))
    seen = TrainingProvenance(np.zeros(0, np.uint64), np.zeros(0, np.uint64))
    save_model(TrainedModel(spec, params, seen, "benchmark"), folder, Card())

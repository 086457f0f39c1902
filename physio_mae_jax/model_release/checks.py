"""Checks of a model folder before it is released."""

from pathlib import Path

import numpy as np

from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.experiment.run_directory import CONFIG_FILE, check_setting, read_run
from physio_mae_jax.inference.encoder import Encoder
from physio_mae_jax.inference.precision import MIN_COSINE, compare_embeddings
from physio_mae_jax.inference.trained_model import TrainedModel
from physio_mae_jax.types import JsonMapping

_NUM_WINDOWS = 3
# The recording is sampled faster than the model, so that it is resampled too.
_RATE_FACTOR = 1.5


def check_pretraining(run: Path) -> None:
    """Raise a UserError if a folder is not the work folder of a pre-training run."""
    if not (run / CONFIG_FILE).is_file():
        raise ConfigError(
            f"--run={run} is not the work folder of a run ({CONFIG_FILE} is absent); name one, or "
            "train it with launch/release.sh NAME --config=configs/pretrain.py:…"
        )
    command = check_setting(read_run(str(run)), "command", str, str(run))
    if command != "pretrain":
        raise ConfigError(
            f"--run={run} was a {command!r} run; only a pre-trained model is released. Name the "
            "run that it was initialized from."
        )


def check_finished(num_steps: int, config: JsonMapping, run: Path) -> None:
    """Raise a DataError if a run has not reached its last step."""
    wanted = config["loop"]["num_steps"]
    if num_steps < wanted:
        raise DataError(
            f"the run in {run} is at step {num_steps} of {wanted}; run the command of the training "
            "again with the same --workdir, which finishes it."
        )


def check_release(folder: Path, trained: TrainedModel) -> float:
    """Load a model folder, compare it with the model of the run, and embed a recording.

    Args:
        folder: Model folder.
        trained: Model of the run.

    Returns:
        Smallest cosine between embeddings of both, see ``precision.compare_embeddings``.

    Raises:
        DataError: The folder is damaged, it disagrees with the run, the training data are not
            known, or an embedding is not finite.
    """
    encoder = Encoder.from_pretrained(folder, num_devices=1)
    cosine = compare_embeddings(trained, encoder.trained)
    if not cosine >= MIN_COSINE:
        raise DataError(
            f"the embeddings of {folder} have a cosine of {cosine:.5f} to those of the run; at "
            f"least {MIN_COSINE} is required. Release it with --dtype=float32."
        )
    if not encoder.trained.trained_on.is_complete:
        raise DataError(
            f"{folder}: the training data are not completely known, so an evaluation could not "
            "detect them; release a run whose own training data are all recorded."
        )
    embedding = np.asarray(_embed_recording(encoder))
    if not np.isfinite(embedding).all() or not embedding.std() > 0:
        raise DataError(
            f"{folder}: the embedding of a synthetic recording is constant or not finite; the "
            "training failed. Look at its learning curves, and release another run."
        )
    return cosine


def _embed_recording(encoder: Encoder) -> np.ndarray:
    """Encode synthetic noise of some windows, with all channels of one window."""
    given = encoder.trained.model_spec.input
    channels = given.channels[: given.num_channels]
    num_samples = round(_NUM_WINDOWS * _RATE_FACTOR * given.num_samples)
    steps = np.random.default_rng(0).normal(size=(len(channels), num_samples))
    encoded = encoder.encode(
        steps.cumsum(axis=1),
        sampling_rate_hz=_RATE_FACTOR * given.sampling_rate_hz,
        channels=list(channels),
    )
    return np.asarray(encoded)

"""Small models, batches and sources that many tests use."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.mae import MaskedAutoencoder
from physio_mae_jax.objectives.masking import Mask, column_mask
from physio_mae_jax.signals.wavelet import WaveletConfig
from physio_mae_jax.training.loop import TrainingRun, train


def tiny_model(**changes: Any) -> MaskedAutoencoder:
    """Make a float32 model: 4 s at 100 Hz, 20 columns of 4 rows."""
    settings: dict[str, Any] = {
        "sampling_rate_hz": 100.0,
        "num_samples": 400,
        "wavelet": WaveletConfig(num_scales=16, lowest_frequency_hz=0.6),
        "patch_samples": 20,
        "patch_scales": 4,
        "width": 32,
        "depth": 2,
        "num_heads": 2,
        "decoder_width": 16,
        "decoder_depth": 1,
        "decoder_num_heads": 2,
    }
    return MaskedAutoencoder(MaeConfig(**(settings | changes)))


def random_batch(batch: int, channels: int, samples: int = 400, seed: int = 0) -> dict[str, Any]:
    """Make z-scored noise with all channels present."""
    signal = np.random.default_rng(seed).normal(size=(batch, channels, samples))
    return {
        "signal": jnp.asarray(signal, jnp.float32),
        "channel_mask": jnp.ones((batch, channels), bool),
        "channel_ids": jnp.tile(jnp.arange(1, channels + 1), (batch, 1)),
    }


def random_mask(batch: int, columns: int = 20, seed: int = 1, ratio: float = 0.75) -> Mask:
    """Draw a tubelet mask."""
    return column_mask(jax.random.uniform(jax.random.key(seed), (batch, columns)), ratio)


def random_params(model: MaskedAutoencoder, seed: int = 2) -> Any:
    """Initialise and then perturb, so that no bias or mask token is zero or equal to another."""
    batch, mask = (
        random_batch(1, 2, model.config.num_samples),
        random_mask(1, model.config.num_columns),
    )
    params = jax.jit(model.init)(jax.random.key(seed), *batch.values(), *mask[:2])["params"]
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(seed + 1), len(leaves))
    noisy = [
        leaf + 0.1 * jax.random.normal(key, leaf.shape)
        for leaf, key in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(tree, noisy)


class ArraySource:
    """Recordings given as arrays [M, n]."""

    def __init__(
        self,
        arrays: list[np.ndarray],
        channels: tuple[str, ...],
        sampling_rate_hz: float = 100.0,
        subjects: list[str] | None = None,
    ) -> None:
        self._arrays = arrays
        subjects = subjects or [f"subject{i}" for i in range(len(arrays))]
        self.recordings = [
            RecordingInfo(
                record_id=f"record{i}",
                subject_id=subject,
                channel_names=channels,
                sampling_rate_hz=sampling_rate_hz,
                num_samples=array.shape[1],
            )
            for i, (array, subject) in enumerate(zip(arrays, subjects, strict=True))
        ]

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        """Return a slice as float32."""
        return self._arrays[index][:, start:stop].astype(np.float32)


def train_and_judge(run: TrainingRun) -> dict[str, float]:
    """Train, and return the last errors that were reported."""
    train(run)
    lines = (run.workdir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    judged = [r for r in map(json.loads, lines) if r["phase"] != "train"][-1]
    return {name: value for name, value in judged.items() if "/" in name}

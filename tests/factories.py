"""Small models, batches and sources that many tests use."""

import functools
import json
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.evaluation.predictions import Predictions
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.mae import MaskedAutoencoder
from physio_mae_jax.objectives.masking import Mask, MaskConfig, column_mask, draw_mask
from physio_mae_jax.signals.wavelet_bank import WaveletConfig
from physio_mae_jax.training.loop import TrainingRun, train
from physio_mae_jax.training.model_spec import init_params


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
    """Draw a tube mask."""
    return column_mask(jax.random.uniform(jax.random.key(seed), (batch, columns)), ratio)


def initial_params(model: MaskedAutoencoder, mask: MaskConfig, num_channels: int = 2) -> Any:
    """Initialize an autoencoder in one program: each operation alone takes seconds to compile."""
    return jax.jit(lambda key: init_params(model, mask, key, num_channels))(jax.random.key(0))


def compiled_init(module: nn.Module, seed: int, *inputs: Any) -> Any:
    """Initialize the variables of any module in one program, see ``initial_params``."""
    return jax.jit(lambda key: module.init(key, *inputs))(jax.random.key(seed))


def compiled_apply(module: nn.Module, variables: Any, *inputs: Any, **options: Any) -> Any:
    """Apply a module in one program, see ``initial_params``; inputs are fixed."""
    return jax.jit(lambda held: module.apply(held, *inputs, **options))(variables)


def drawn_mask(model: MaskedAutoencoder, mask: MaskConfig, batch: int, num_channels: int) -> Mask:
    """Draw the masks of a batch in one program."""
    draw = jax.jit(lambda key: draw_mask(key, batch, num_channels, model.config, mask))
    return draw(jax.random.key(0))


def random_params(model: MaskedAutoencoder, mask: MaskConfig | None = None, seed: int = 2) -> Any:
    """Draw the parameters of an autoencoder, see ``random_variables``."""
    return _drawn(_shapes_of_params(model, mask or MaskConfig()), seed)


def random_variables(module: nn.Module, *inputs: Any, seed: int = 2) -> Any:
    """Draw the variables of any module, so that no bias is zero or equal to another.

    NumPy draws them: XLA would take seconds to compile the initialization of each module.
    """
    return _drawn(jax.eval_shape(lambda: module.init(jax.random.key(0), *inputs)), seed)


def _drawn(shapes: Any, seed: int) -> Any:
    rng = np.random.default_rng(seed)

    def drawn(position: tuple[Any, ...], leaf: jax.ShapeDtypeStruct) -> jax.Array:
        names = jax.tree_util.keystr(position, simple=True, separator="/").split("/")
        spread, center = 0.35 if "smoothing" in names else 0.1, float(names[-1] == "scale")
        return jnp.asarray(center + spread * rng.normal(size=leaf.shape), leaf.dtype)

    return jax.tree_util.tree_map_with_path(drawn, shapes)


@functools.cache
def _shapes_of_params(model: MaskedAutoencoder, mask: MaskConfig) -> Any:
    return jax.eval_shape(lambda: init_params(model, mask, jax.random.key(0), 2))


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


def train_and_evaluate(run: TrainingRun) -> dict[str, float]:
    """Train, and return the last errors that were reported."""
    train(run)
    lines = (run.workdir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    evaluated = [r for r in map(json.loads, lines) if r["phase"] != "train"][-1]
    return {name: value for name, value in evaluated.items() if "/" in name}


def predictions(
    logits: Any, targets: Any, subjects: Any = None, kind: str = "multilabel"
) -> Predictions:
    """Make predictions of instances 'u0', 'u1', …, each of a subject of its own unless told."""
    logits, targets = np.asarray(logits, float), np.asarray(targets, float)
    names = [f"u{i}" for i in range(len(logits))]
    return Predictions(
        kind=kind,
        classes=tuple(f"class {k}" for k in range(logits.shape[1])),
        instance_ids=np.asarray(names),
        subjects=np.asarray(names if subjects is None else [str(s) for s in subjects]),
        logits=logits,
        targets=targets,
    )


def small_state_dict() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Make a state dict of random numbers with the shapes of a small v3, and its config."""
    config = {
        "signal_len": 60, "cwt_scales": 4, "patch_size_time": 20, "patch_size_freq": 2,
        "embed_dim": 8, "depth": 1, "num_heads": 2, "decoder_embed_dim": 4, "decoder_depth": 1,
        "decoder_num_heads": 1, "use_diff": False,
    }  # fmt: skip
    shapes = {
        "pos_embed": (1, 6, 8), "mask_token": (1, 1, 4), "decoder_pos_embed": (1, 6, 4),
        "channel_loss_weights": (1, 1, 1, 1), "rope_encoder.inv_freq": (2,),
        "rope_decoder.inv_freq": (2,), "patch_embed.proj.weight": (8, 1, 2, 20),
        "patch_embed.proj.bias": (8,), "raw_patch_embed.proj.weight": (8, 1, 20),
        "raw_patch_embed.proj.bias": (8,), "decoder_embed.weight": (4, 8),
        "decoder_embed.bias": (4,), "decoder_pred_spec.weight": (40, 4),
        "decoder_pred_spec.bias": (40,), "time_reducer.0.weight": (4, 4, 2, 1),
        "time_reducer.0.bias": (4,), "time_pred.weight": (20, 4), "time_pred.bias": (20,),
        "blocks.0.temporal_smooth.weight": (8, 1, 3), "blocks.0.temporal_smooth.bias": (8,),
    }  # fmt: skip
    norms = {
        "patch_embed.norm": 8, "raw_patch_embed.norm": 8, "norm": 8, "decoder_norm": 4,
        "time_reducer.2": 4, "blocks.0.norm_time": 8, "blocks.0.norm_channel": 8,
        "blocks.0.norm_mlp": 8, "decoder_blocks.0.norm1": 4, "decoder_blocks.0.norm2": 4,
    }  # fmt: skip
    for name, width in norms.items():
        shapes |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    for block, attentions, width in (
        ("blocks.0", ("time_attn", "channel_attn"), 8),
        ("decoder_blocks.0", ("attn",), 4),
    ):
        for name in attentions:
            shapes[f"{block}.{name}.qkv.weight"] = (3 * width, width)
            shapes[f"{block}.{name}.proj.weight"] = (width, width)
            shapes[f"{block}.{name}.proj.bias"] = (width,)
        shapes |= {f"{block}.mlp.0.weight": (4 * width, width), f"{block}.mlp.0.bias": (4 * width,)}
        shapes |= {f"{block}.mlp.3.weight": (width, 4 * width), f"{block}.mlp.3.bias": (width,)}
    rng = np.random.default_rng(0)
    return {k: rng.normal(size=s).astype(np.float32) for k, s in shapes.items()}, config

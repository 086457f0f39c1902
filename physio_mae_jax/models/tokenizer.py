"""From a signal to tokens: wavelet patches and waveform columns, embedded and fused."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.export import is_symbolic_dim

from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.layers import Linear, convolution_init, layer_norm
from physio_mae_jax.models.window_batch import Windows
from physio_mae_jax.signals import patches, wavelet
from physio_mae_jax.signals.data_parallel import count_batch_shards
from physio_mae_jax.signals.vocabulary import NUM_FIRST_NAMES

# Values of a stem's maps that a device computes at once: 1 GiB in bfloat16.
_SLICE_SIZE = 2**29


class ConvolutionalStem(nn.Module):
    """Two 3 × 3 convolutions over a scalogram before it is cut into patches (models.md#tokenizer).

    Unlike the original's batch normalization, this normalizes each example separately, so that the
    result depends neither on the other examples of a batch nor on the number of devices.
    """

    width: int
    normalized: bool
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, scalogram: jax.Array, num_valid: jax.Array | None) -> jax.Array:
        """Map [B, M, C, S, L] to [B, M, width / 2, S, L]; zeros past ``num_valid`` [B] samples."""
        batch, channels, planes, scales, samples = scalogram.shape
        maps = scalogram.reshape(-1, planes, scales, samples).transpose(0, 2, 3, 1)
        valid = jnp.ones((maps.shape[0], 1, samples, 1), bool)
        if num_valid is not None:
            inside = jnp.arange(samples) < jnp.repeat(num_valid, channels)[:, None]
            valid = inside[:, None, :, None]
        maps = maps.astype(self.dtype)
        for number, features in enumerate((self.width // 4, self.width // 2)):
            maps = nn.Conv(
                features,
                (3, 3),
                use_bias=not self.normalized,
                dtype=self.dtype,
                kernel_init=convolution_init,
                name=f"convolution_{number}",
            )(jnp.where(valid, maps, 0))
            if self.normalized:
                norm = nn.GroupNorm(num_groups=1, dtype=self.dtype, name=f"norm_{number}")
                maps = norm(maps, mask=jnp.broadcast_to(valid, maps.shape))
            maps = nn.gelu(maps, approximate=False)
        return maps.transpose(0, 3, 1, 2).reshape(batch, channels, -1, scales, samples)


class NormalizedColumns(NamedTuple):
    """Whole columns of a recording of any length, normalized by the caller.

    Attributes:
        scalogram: [B, M, C, S, L] float32.
        samples: [B, M, L] float32.
    """

    scalogram: jax.Array
    samples: jax.Array


class Tokenizer(nn.Module):
    """Embed columns: wavelet patches plus waveform over rows (models.md#tokenizer)."""

    config: MaeConfig

    @nn.compact
    def __call__(
        self,
        windows: Windows,
        column_ids: jax.Array | None,
        normalized: NormalizedColumns | None = None,
    ) -> jax.Array:
        """Embed the columns ``column_ids`` [B, K] (None: all) of windows as [B, M, K, H, D].

        With ``normalized`` columns the signal of the windows is not used, and the position of a
        column is the mean over all columns of a window.
        """
        cfg = self.config
        signal, num_valid = windows.signal, windows.num_valid_columns
        if num_valid is not None:
            num_valid = num_valid * cfg.patch_samples
        if normalized is not None:
            maps = normalized.scalogram
        else:
            maps = wavelet.scalogram(
                signal, cfg.wavelet, cfg.sampling_rate_hz, num_valid, cfg.wavelet_method
            )
        if cfg.convolutional_stem == "none":
            tokens = self._patch_tokens(maps, column_ids)
        else:
            tokens = self._stem_tokens(maps, num_valid, column_ids)
        if cfg.waveform_branch:
            if normalized is None:
                samples = normalize_samples(signal, num_valid)
            else:
                samples = normalized.samples
            columns = patches.signal_columns(samples, cfg.patch_samples)
            if column_ids is not None:
                columns = patches.take_columns(columns, column_ids, axis=2)
            tokens = tokens + self._project("waveform", columns)[:, :, :, None]
        position = self.param(
            "position", nn.initializers.normal(0.02), (cfg.num_columns, cfg.num_rows, cfg.width)
        )[None]
        if column_ids is not None:
            position = jnp.take(position[0], column_ids, axis=0)
        if normalized is not None:
            position = position.mean(axis=1, keepdims=True)
        tokens = tokens + position[:, None].astype(cfg.dtype)
        if cfg.channel_embedding:
            tokens = tokens + channel_embedding(windows.channel_ids, cfg.width, cfg, "channel")
        return tokens

    def _patch_tokens(self, maps: jax.Array, column_ids: jax.Array | None) -> jax.Array:
        """Embed the patches of maps [B, M, C, S, L] as [B, M, K, H, D]."""
        cfg = self.config
        boxes = patches.patchify_scalogram(maps, cfg.patch_scales, cfg.patch_samples, column_ids)
        return self._project("wavelet", boxes)

    def _stem_tokens(
        self, maps: jax.Array, num_valid: jax.Array | None, column_ids: jax.Array | None
    ) -> jax.Array:
        """Embed the patches of a stem's maps, one slice of the batch after the other.

        The maps of a whole batch exceed the memory of a GPU and the 2^31 values that cuDNN can
        index, so the backward pass rematerializes those of each slice.
        """
        batch, channels = maps.shape[:2]
        num_slices = _num_slices(maps[:, 0, 0], self.config.width // 2)

        def split(values: jax.Array) -> jax.Array:
            # The inner axis is split, so that each device keeps its own examples.
            return values.reshape(-1, num_slices, *values.shape[1:]).swapaxes(0, 1)

        single = jnp.moveaxis(split(maps), 2, 1)
        single = single.reshape(-1, *single.shape[2:])[:, :, None]
        shared = jax.tree.map(
            lambda values: jnp.repeat(split(values), channels, axis=0), (num_valid, column_ids)
        )
        embed_slices = nn.scan(
            nn.remat(_embed_slice, prevent_cse=False),
            variable_broadcast="params",
            split_rngs={"params": False},
        )
        _, tokens = embed_slices(self, None, (single, *shared))
        tokens = tokens.reshape(num_slices, channels, -1, *tokens.shape[3:])
        return jnp.moveaxis(tokens, 2, 0).reshape(batch, channels, *tokens.shape[3:])

    def _project(self, name: str, values: jax.Array) -> jax.Array:
        """Project the last axis to D and normalize: a convolution with stride = kernel size."""
        cfg = self.config
        projected = Linear(
            cfg.width, dtype=cfg.dtype, kernel_init=convolution_init, name=f"{name}_projection"
        )(values.astype(cfg.dtype))
        return layer_norm(f"{name}_norm", cfg.dtype)(projected)


def _embed_slice(
    tokenizer: Tokenizer,
    carry: None,
    part: tuple[jax.Array, jax.Array | None, jax.Array | None],
) -> tuple[None, jax.Array]:
    """Apply the stem to maps [B, 1, C, S, L] and embed their patches: [B, 1, K, H, D]."""
    maps, num_valid, column_ids = part
    cfg = tokenizer.config
    normalized = cfg.convolutional_stem == "normalized"
    stem = ConvolutionalStem(cfg.width, normalized, cfg.dtype, name="stem", parent=tokenizer)
    return carry, tokenizer._patch_tokens(stem(maps, num_valid), column_ids)


def _num_slices(plane: jax.Array, features: int) -> int:
    """Return into how many equal parts the examples of a plane [B, S, L] are divided.

    Every device computes a part of each slice, at most ``_SLICE_SIZE`` values of all features if
    possible. An exported program, whose B is symbolic, does not divide them.
    """
    if is_symbolic_dim(plane.shape[0]):
        return 1
    local = len(plane) // count_batch_shards(plane)
    size = plane[0].size * features
    divisors = (count for count in range(1, local) if local % count == 0)
    return next((count for count in divisors if local // count * size <= _SLICE_SIZE), local)


def channel_embedding(channel_ids: jax.Array, width: int, cfg: MaeConfig, name: str) -> jax.Array:
    """Look up the learned embedding of each channel's name: [B, M] -> [B, M, 1, 1, D]."""
    table = nn.Embed(cfg.num_channel_names, width, embedding_init=_init_names, name=name)
    # A name added to the vocabulary after the model was built is unknown to it.
    ids = jnp.where(channel_ids < cfg.num_channel_names, channel_ids, 0)
    return table(ids)[:, :, None, None].astype(cfg.dtype)


def _init_names(
    key: jax.Array, shape: tuple[int, int], dtype: jax.typing.DTypeLike = jnp.float32
) -> jax.Array:
    """Draw the embeddings; those of the first names do not depend on the number of names."""
    draw = nn.initializers.normal(0.02)
    first = draw(key, (NUM_FIRST_NAMES, shape[1]), dtype)
    if shape[0] <= NUM_FIRST_NAMES:
        return first[: shape[0]]
    rest = draw(jax.random.fold_in(key, 1), (shape[0] - NUM_FIRST_NAMES, shape[1]), dtype)
    return jnp.concatenate([first, rest])


def normalize_samples(signal: jax.Array, num_valid: jax.Array | None) -> jax.Array:
    """Z-score [B, M, L] over valid samples: unbiased std, floor 1e-5 (models.md#tokenizer)."""
    valid = jnp.ones((1, signal.shape[-1]), bool)
    if num_valid is not None:
        valid = jnp.arange(signal.shape[-1]) < num_valid[:, None]
    weight = valid[:, None, :].astype(jnp.float32)
    count = weight.sum(axis=-1, keepdims=True)
    centered = signal - (signal * weight).sum(axis=-1, keepdims=True) / count
    variance = (jnp.square(centered) * weight).sum(axis=-1, keepdims=True) / (count - 1)
    return centered / jnp.maximum(jnp.sqrt(variance), 1e-5)

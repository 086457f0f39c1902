"""The masked autoencoder v3: fused wavelet and waveform tokens, factorized encoder and decoder.

The parts, in the order data meets them::

    Tokenizer   signal [B, M, L] -> tokens of the wanted columns [B, M, K, H, D]
    Encoder     visible tokens -> latents [B, M, K, H, D]
    Decoder     latents + mask tokens -> predictions for the hidden columns

Which columns are visible is an argument: the model draws nothing at random.
"""

import dataclasses
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.models.layers import (
    FactorizedBlock,
    JointBlock,
    convolution_init,
    layer_norm,
    linear_init,
    rotary_rotation,
)
from physio_mae_jax.signals import patches, wavelet
from physio_mae_jax.signals.channels import VOCABULARY
from physio_mae_jax.signals.wavelet import WaveletConfig

_BLOCKS = {"factorized": FactorizedBlock, "joint": JointBlock}
_IMPLEMENTATIONS = ("xla", "cudnn")
_DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
# What is kept of a block's forward pass for its backward pass; None recomputes nothing.
_REMAT_POLICIES = {
    "none": None,
    "matmuls": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    "full": jax.checkpoint_policies.nothing_saveable,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaeConfig:
    """Shape and numerics of a masked autoencoder.

    Attributes:
        sampling_rate_hz: rate of the signals it is given.
        num_samples: L, length of a window.
        wavelet: the scalogram's bank.
        patch_samples: samples a column (pt).
        patch_scales: scales a frequency row (pf).
        width, depth, num_heads: of the encoder.
        decoder_width, decoder_depth, decoder_num_heads: of the decoder.
        decoder_attention: 'factorized' (time, then channels) or 'joint' (all tokens at once).
        channel_identity: add a learned vector for the name of each channel.
        attention_implementation: of attention over time, 'xla' or 'cudnn' (bfloat16 on a GPU).
        remat: what the backward pass recomputes: 'none', 'matmuls' (all but them) or 'full'.
        compute_dtype: 'float32' or 'bfloat16'; parameters are float32 always.
    """

    sampling_rate_hz: float
    num_samples: int
    wavelet: WaveletConfig
    patch_samples: int
    patch_scales: int
    width: int
    depth: int
    num_heads: int
    decoder_width: int
    decoder_depth: int
    decoder_num_heads: int
    decoder_attention: str = "factorized"
    channel_identity: bool = True
    attention_implementation: str = "xla"
    remat: str = "none"
    compute_dtype: str = "float32"

    def __post_init__(self) -> None:
        self._check_patches()
        self._check_width("model.width", self.width, "model.num_heads", self.num_heads)
        self._check_width(
            "model.decoder_width",
            self.decoder_width,
            "model.decoder_num_heads",
            self.decoder_num_heads,
        )
        for name, choices in (
            ("decoder_attention", _BLOCKS),
            ("attention_implementation", _IMPLEMENTATIONS),
            ("remat", _REMAT_POLICIES),
            ("compute_dtype", _DTYPES),
        ):
            if getattr(self, name) not in choices:
                raise ConfigError(
                    f"model.{name} is {getattr(self, name)!r}; choose one of {', '.join(choices)}."
                )
        if self.attention_implementation == "cudnn" and self.compute_dtype != "bfloat16":
            raise ConfigError(
                "model.attention_implementation is 'cudnn', which computes in bfloat16 only; set "
                "model.compute_dtype to 'bfloat16' or model.attention_implementation to 'xla'."
            )

    def _check_patches(self) -> None:
        if self.patch_samples < 1 or self.num_samples % self.patch_samples:
            below = max(1, self.num_samples // max(1, self.patch_samples)) * self.patch_samples
            raise ConfigError(
                f"a window of {self.num_samples} samples is not a whole number of columns of "
                f"model.patch_samples={self.patch_samples}; set window_seconds to "
                f"{below / self.sampling_rate_hz:g} or choose another model.patch_samples."
            )
        if self.patch_scales < 1 or self.wavelet.num_scales % self.patch_scales:
            raise ConfigError(
                f"model.wavelet.num_scales={self.wavelet.num_scales} is not a multiple of "
                f"model.patch_scales={self.patch_scales}; change one of them."
            )

    def _check_width(self, width_name: str, width: int, heads_name: str, heads: int) -> None:
        if heads < 1 or width % heads or width // heads % 2:
            raise ConfigError(
                f"{width_name}={width} is not divisible by {heads_name}={heads} into heads of an "
                f"even size (rotary positions turn pairs); change one of them."
            )
        if self.attention_implementation == "cudnn" and width // heads % 8:
            raise ConfigError(
                f"{width_name}={width} over {heads_name}={heads} gives heads of {width // heads}; "
                "cuDNN attention needs a multiple of 8. Change one of them or set "
                "model.attention_implementation to 'xla'."
            )

    @property
    def num_columns(self) -> int:
        """W, time columns of a window."""
        return self.num_samples // self.patch_samples

    @property
    def num_rows(self) -> int:
        """H, frequency rows of a column."""
        return self.wavelet.num_scales // self.patch_scales

    @property
    def patch_size(self) -> int:
        """C · pf · pt, numbers in a scalogram patch."""
        return self.wavelet.num_planes * self.patch_scales * self.patch_samples

    @property
    def dtype(self) -> jnp.dtype:
        """The compute type."""
        return _DTYPES[self.compute_dtype]


class Reconstruction(NamedTuple):
    """What the decoder predicts for P columns.

    Attributes:
        patches: [B, M, P, H, C · pf · pt] normalised scalogram, float32.
        waveform: [B, M, P, pt] z-scored samples, float32.
    """

    patches: jax.Array
    waveform: jax.Array


class Tokenizer(nn.Module):
    """Embed columns: wavelet patches plus the waveform, broadcast over rows (spec.md §2)."""

    config: MaeConfig

    @nn.compact
    def __call__(
        self,
        signal: jax.Array,
        column_ids: jax.Array | None,
        channel_ids: jax.Array,
        num_valid_columns: jax.Array | None,
    ) -> jax.Array:
        """Embed the columns ``column_ids`` [B, K] (None: all) of [B, M, L] as [B, M, K, H, D]."""
        cfg = self.config
        num_valid = None if num_valid_columns is None else num_valid_columns * cfg.patch_samples
        scalogram = wavelet.scalogram(signal, cfg.wavelet, cfg.sampling_rate_hz, num_valid)
        boxes = patches.scalogram_patches(
            scalogram, cfg.patch_scales, cfg.patch_samples, column_ids
        )
        columns = patches.signal_columns(_z_score(signal, num_valid), cfg.patch_samples)
        position = self.param(
            "position", nn.initializers.normal(0.02), (cfg.num_columns, cfg.num_rows, cfg.width)
        )[None]
        if column_ids is not None:
            columns = patches.take_columns(columns, column_ids, axis=2)
            position = jnp.take(position[0], column_ids, axis=0)
        tokens = self._project("wavelet", boxes) + self._project("waveform", columns)[:, :, :, None]
        tokens = tokens + position[:, None].astype(cfg.dtype)
        if cfg.channel_identity:
            identity = nn.Embed(
                len(VOCABULARY), cfg.width, embedding_init=nn.initializers.normal(0.02), name="channel"
            )(channel_ids)
            tokens = tokens + identity[:, :, None, None].astype(cfg.dtype)
        return tokens

    def _project(self, name: str, values: jax.Array) -> jax.Array:
        """Map the last axis to D and normalise: a convolution whose kernel equals its stride."""
        cfg = self.config
        projected = nn.Dense(
            cfg.width, dtype=cfg.dtype, kernel_init=convolution_init, name=f"{name}_projection"
        )(values.astype(cfg.dtype))
        return layer_norm(f"{name}_norm", cfg.dtype)(projected)


def _z_score(signal: jax.Array, num_valid: jax.Array | None) -> jax.Array:
    """Normalise [B, M, L] over its valid samples: unbiased deviation, floor 1e-5 (spec.md §2)."""
    valid = jnp.ones((1, signal.shape[-1]), bool)
    if num_valid is not None:
        valid = jnp.arange(signal.shape[-1]) < num_valid[:, None]
    weight = valid[:, None, :].astype(jnp.float32)
    count = weight.sum(axis=-1, keepdims=True)
    centred = signal - (signal * weight).sum(axis=-1, keepdims=True) / count
    variance = (jnp.square(centred) * weight).sum(axis=-1, keepdims=True) / (count - 1)
    return centred / jnp.maximum(jnp.sqrt(variance), 1e-5)


class Stack(nn.Module):
    """``depth`` blocks scanned over stacked parameters, and a final LayerNorm."""

    config: MaeConfig
    block: type[nn.Module]
    depth: int
    num_heads: int

    @nn.compact
    def __call__(
        self,
        tokens: jax.Array,
        column_ids: jax.Array,
        channel_mask: jax.Array,
        num_valid_columns: jax.Array | None = None,
    ) -> jax.Array:
        """Mix [B, M, K, H, D] whose columns lie at ``column_ids`` [B, K]."""
        cfg = self.config
        head_dim = tokens.shape[-1] // self.num_heads
        rotation = rotary_rotation(jnp.repeat(column_ids, cfg.num_rows, axis=1), head_dim)
        block = self.block
        if cfg.remat != "none":
            block = nn.remat(block, prevent_cse=False, policy=_REMAT_POLICIES[cfg.remat])
        # One compiled block serves all layers; its parameters carry a leading axis of layers.
        blocks = nn.scan(
            block,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=nn.broadcast,
            length=self.depth,
        )(self.num_heads, cfg.dtype, cfg.attention_implementation, name="blocks")
        tokens, _ = blocks(tokens, rotation, channel_mask, num_valid_columns)
        return layer_norm("norm", cfg.dtype)(tokens)


class Decoder(nn.Module):
    """Put mask tokens where columns are hidden, mix, and predict them (spec.md §6)."""

    config: MaeConfig

    @nn.compact
    def __call__(
        self,
        latents: jax.Array,
        visible_ids: jax.Array,
        hidden_ids: jax.Array,
        channel_mask: jax.Array,
        predicted_ids: jax.Array,
    ) -> Reconstruction:
        """Predict the columns ``predicted_ids`` [B, P] from latents [B, M, K, H, D]."""
        cfg = self.config
        visible = nn.Dense(
            cfg.decoder_width, dtype=cfg.dtype, kernel_init=linear_init, name="embed"
        )(latents)
        tokens = self._restore_order(visible, visible_ids, hidden_ids)
        position = self.param(
            "position",
            nn.initializers.normal(0.02),
            (cfg.num_columns, cfg.num_rows, cfg.decoder_width),
        )
        tokens = tokens + position.astype(cfg.dtype)
        columns = jnp.broadcast_to(jnp.arange(cfg.num_columns), (tokens.shape[0], cfg.num_columns))
        tokens = Stack(
            cfg,
            _BLOCKS[cfg.decoder_attention],
            cfg.decoder_depth,
            cfg.decoder_num_heads,
            name="stack",
        )(tokens, columns, channel_mask)
        tokens = patches.take_columns(tokens, predicted_ids, axis=2)
        boxes = nn.Dense(
            cfg.patch_size, dtype=cfg.dtype, kernel_init=linear_init, name="patch_head"
        )(tokens)
        return Reconstruction(boxes.astype(jnp.float32), self._waveform(tokens))

    def _restore_order(
        self, visible: jax.Array, visible_ids: jax.Array, hidden_ids: jax.Array
    ) -> jax.Array:
        """Return [B, M, W, H, Dd] in order of time, a learned mask token in each hidden place.

        Every channel is restored by itself; mixing the channels' axes here is defect D1.
        """
        cfg = self.config
        mask_token = self.param("mask_token", nn.initializers.normal(0.02), (cfg.decoder_width,))
        batch, channels, _, rows, width = visible.shape
        hidden = jnp.broadcast_to(
            mask_token.astype(cfg.dtype), (batch, channels, hidden_ids.shape[1], rows, width)
        )
        order = jnp.argsort(jnp.concatenate([visible_ids, hidden_ids], axis=1), axis=1)
        return patches.take_columns(jnp.concatenate([visible, hidden], axis=2), order, axis=2)

    def _waveform(self, tokens: jax.Array) -> jax.Array:
        """Predict the samples of each column from its H rows: [B, M, P, H, Dd] -> [B, M, P, pt]."""
        cfg = self.config
        rows = tokens.reshape(*tokens.shape[:3], -1)
        column = nn.Dense(
            cfg.decoder_width, dtype=cfg.dtype, kernel_init=convolution_init, name="time_reducer"
        )(rows)
        column = layer_norm("time_norm", cfg.dtype)(nn.gelu(column, approximate=False))
        samples = nn.Dense(
            cfg.patch_samples, dtype=cfg.dtype, kernel_init=linear_init, name="time_head"
        )(column)
        return samples.astype(jnp.float32)


class MaskedAutoencoder(nn.Module):
    """CWT-MAE v3; see the module docstring for the flow."""

    config: MaeConfig

    def setup(self) -> None:
        """Name the three parts."""
        cfg = self.config
        self.tokenizer = Tokenizer(cfg)
        self.encoder = Stack(cfg, FactorizedBlock, cfg.depth, cfg.num_heads)
        self.decoder = Decoder(cfg)

    def encode(
        self,
        signal: jax.Array,
        channel_mask: jax.Array,
        channel_ids: jax.Array,
        visible_ids: jax.Array | None = None,
        num_valid_columns: jax.Array | None = None,
    ) -> jax.Array:
        """Encode the visible columns of a window.

        Args:
            signal: [B, M, L], M ≥ 1 channels in any order.
            channel_mask: [B, M] bool, True = present. What an absent channel holds is not read.
            channel_ids: [B, M] int, ``signals.channels.channel_id`` of each name.
            visible_ids: [B, K] columns seen, ascending; None for all of them.
            num_valid_columns: [B] columns at the front that hold signal, the rest being padding;
                None where the window is full. Only without ``visible_ids``.

        Returns:
            Latents [B, M, K, H, D]; those of absent channels and padding have no meaning.
        """
        signal = jnp.where(channel_mask[:, :, None], signal, 0.0)
        tokens = self.tokenizer(signal, visible_ids, channel_ids, num_valid_columns)
        if visible_ids is None:
            visible_ids = jnp.broadcast_to(
                jnp.arange(self.config.num_columns), (signal.shape[0], self.config.num_columns)
            )
        return self.encoder(tokens, visible_ids, channel_mask, num_valid_columns)

    def __call__(
        self,
        signal: jax.Array,
        channel_mask: jax.Array,
        channel_ids: jax.Array,
        visible_ids: jax.Array,
        hidden_ids: jax.Array,
        predicted_ids: jax.Array | None = None,
    ) -> Reconstruction:
        """Encode the visible columns and predict others.

        Args:
            signal: [B, M, L]; its hidden columns are read only by wavelets that reach into them.
            channel_mask: [B, M] bool, True = present.
            channel_ids: [B, M] int.
            visible_ids: [B, K] ascending.
            hidden_ids: [B, W - K] the other columns, ascending.
            predicted_ids: [B, P] columns to predict; None for the hidden ones.
        """
        latents = self.encode(signal, channel_mask, channel_ids, visible_ids)
        predicted_ids = hidden_ids if predicted_ids is None else predicted_ids
        return self.decoder(latents, visible_ids, hidden_ids, channel_mask, predicted_ids)


def pool_tokens(
    latents: jax.Array, channel_mask: jax.Array, num_valid_columns: jax.Array | None = None
) -> jax.Array:
    """Average latents [B, M, W, H, D] over what is present: [B, D] float32."""
    columns = jnp.arange(latents.shape[2])
    limit = latents.shape[2] if num_valid_columns is None else num_valid_columns[:, None]
    weight = channel_mask[:, :, None] & jnp.broadcast_to(
        columns < limit, (latents.shape[0], latents.shape[2])
    )[:, None, :]
    weight = weight.astype(jnp.float32)
    totals = jnp.where(weight[..., None, None] > 0, latents.astype(jnp.float32), 0.0)
    return totals.mean(axis=3).sum(axis=(1, 2)) / jnp.maximum(weight.sum(axis=(1, 2)), 1.0)[:, None]

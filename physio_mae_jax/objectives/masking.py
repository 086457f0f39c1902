"""Masks: which tokens a model may see, drawn here from keys or noise and passed to the model.

Kinds of masks over the W columns of H frequency rows of M channels:

* tube: whole time columns, the same for all channels (models.md#masks);
* random_rows: different columns in each frequency row, the same for all channels;
* time_scale: whole time columns and, in the visible ones, whole frequency rows;
* random: any token of any channel, for joint encoders (models.md#masks).

All but the last can also drop whole channels.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.mixers import MIXERS
from physio_mae_jax.setting_ranges import check_fields

KINDS = ("tube", "random_rows", "time_scale", "random")
# Rounding such as 100 · (1 - 0.9) = 9.999… must not lose a token.
_ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskConfig:
    """Choice of the mask.

    Attributes:
        kind: One of ``KINDS``.
        mask_ratio: Share of masked columns, or of masked tokens for 'random'.
        row_mask_ratio: Share of the frequency rows masked by 'time_scale'.
        channel_mask_ratio: Share of entirely masked channels, rounded down; one always stays
            visible.
    """

    kind: str = "tube"
    mask_ratio: float = 0.75
    row_mask_ratio: float = 0.25
    channel_mask_ratio: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self, "objective.mask")

    def check_against(self, model: MaeConfig) -> None:
        """Raise a ConfigError if this mask is incompatible with the model."""
        if (self.kind == "random") != (model.encoder_attention == "joint"):
            others = [kind for kind in KINDS if kind != "random"]
            fitting = "random" if model.encoder_attention == "joint" else ", ".join(others)
            raise ConfigError(
                f"objective.mask.kind must be {fitting} with "
                f"model.encoder_attention={model.encoder_attention!r}; got {self.kind!r}. "
                "Change one of them."
            )
        if self.kind == "random_rows" and model.waveform_branch:
            raise ConfigError(
                "objective.mask.kind='random_rows' leaves every column visible in some row, so "
                "the waveform branch would leak its samples; set model.waveform_branch to False."
            )
        mixer = MIXERS[model.time_mixer]
        if self.kind == "random_rows" and not mixer.supports_ragged_rows:
            raise ConfigError(
                "objective.mask.kind='random_rows' shows other columns in each row, but "
                f"model.time_mixer={model.time_mixer!r} needs whole columns; set "
                "objective.mask.kind to 'tube' or 'time_scale', or model.time_mixer to 'attention'."
            )
        if self.channel_mask_ratio and (
            self.kind == "random" or not model.decoder_channel_embedding
        ):
            raise ConfigError(
                f"objective.mask.channel_mask_ratio={self.channel_mask_ratio} needs a factorized "
                "encoder and "
                "model.decoder_channel_embedding=True, which identifies the channel to predict to "
                "the decoder."
            )
        total = model.num_tokens if self.kind == "random" else model.num_columns
        visible = num_visible(total, self.mask_ratio)
        if not 1 <= visible < total:
            raise ConfigError(
                f"objective.mask.mask_ratio={self.mask_ratio} leaves {visible} of {total} columns "
                "visible; "
                "at least one must be visible and one masked. Change it, or make columns shorter "
                "(model.patch_samples)."
            )
        rows = num_visible(model.num_rows, self.row_mask_ratio)
        if self.kind == "time_scale" and not 1 <= rows < model.num_rows:
            raise ConfigError(
                f"objective.mask.row_mask_ratio={self.row_mask_ratio} leaves {rows} of "
                f"{model.num_rows} "
                "frequency rows visible; at least one must be visible and one masked."
            )


class Mask(NamedTuple):
    """Visible and predicted tokens of each example.

    Attributes:
        visible_ids: Visible tokens, in a form of ``models.mae``.
        predicted_ids: [B, P] columns with any masked token; None for all W.
        masked_columns: [B, W] bool, True for columns masked in all rows of all channels.
        scored: [B, M, P, H] bool, True for masked tokens, which enter the loss; M may be 1 if all
            channels share it. None if all tokens of the predicted columns are masked.
        masked_channels: [B, M] bool, True = entirely masked; None for none.
    """

    visible_ids: jax.Array
    predicted_ids: jax.Array | None
    masked_columns: jax.Array
    scored: jax.Array | None = None
    masked_channels: jax.Array | None = None


def num_visible(total: int, ratio: float) -> int:
    """Return floor(total (1 - ratio)) (models.md#masks)."""
    return int(total * (1 - ratio) + _ROUNDING)


def draw_mask(
    key: jax.Array, batch: int, num_channels: int, model: MaeConfig, config: MaskConfig
) -> Mask:
    """Draw the masks of a batch."""
    key, row_key, channel_key = jax.random.split(key, 3)
    columns = model.num_columns
    if config.kind == "random":
        noise = jax.random.uniform(key, (batch, num_channels * model.num_tokens))
        return token_mask(noise, config.mask_ratio, model)
    if config.kind == "random_rows":
        noise = jax.random.uniform(key, (batch, model.num_rows, columns))
        mask = row_mask(noise, config.mask_ratio)
    elif config.kind == "time_scale":
        noise = jax.random.uniform(key, (batch, columns))
        row_noise = jax.random.uniform(row_key, (batch, model.num_rows))
        mask = time_scale_mask(noise, row_noise, config)
    else:
        mask = column_mask(jax.random.uniform(key, (batch, columns)), config.mask_ratio)
    if config.channel_mask_ratio:
        count = int(num_channels * config.channel_mask_ratio + _ROUNDING)
        noise = jax.random.uniform(channel_key, (batch, num_channels))
        dropped = jnp.argsort(jnp.argsort(noise, axis=1), axis=1) < count
        mask = mask._replace(masked_channels=dropped)
    return mask


def predict_share(key: jax.Array, mask: Mask, share: float) -> Mask:
    """Predict a random share of the masked columns of each example, at least one.

    Args:
        key: Random key.
        mask: Mask of kind 'tube'.
        share: Share of the masked columns, above 0; 1 returns the mask itself.
    """
    if share == 1.0:
        return mask
    assert mask.predicted_ids is not None  # of kind 'tube', see ``ObjectiveConfig``
    size, total = mask.predicted_ids.shape
    count = max(1, int(total * share + _ROUNDING))
    order = jnp.argsort(jax.random.uniform(key, (size, total)), axis=1)[:, :count]
    chosen = jnp.take_along_axis(mask.predicted_ids, order, axis=1)
    return mask._replace(predicted_ids=jnp.sort(chosen, axis=1))


def column_mask(noise: jax.Array, ratio: float) -> Mask:
    """Mask the columns with the largest noise [B, W], the same for all channels (tubes).

    Ids are ascending, so that neighbors in the list are neighbors in time (the
    original keeps visible columns in random order, models.md#masks).
    """
    visible, masked, is_masked = _split(noise, ratio)
    return Mask(visible, masked, is_masked)


def row_mask(noise: jax.Array, ratio: float) -> Mask:
    """Mask in each row the columns with the largest noise [B, H, W]."""
    rows = noise.shape[1]
    visible, _, is_masked = _split(noise, ratio)
    ids = visible * rows + jnp.arange(rows)[:, None]
    scored = is_masked.swapaxes(1, 2)[:, None]
    return Mask(ids.swapaxes(1, 2), None, is_masked.all(axis=1), scored)


def time_scale_mask(noise: jax.Array, row_noise: jax.Array, config: MaskConfig) -> Mask:
    """Mask the columns with the largest noise [B, W] and rows with the largest [B, H]."""
    rows = row_noise.shape[1]
    visible, _, masked_column = _split(noise, config.mask_ratio)
    visible_rows, _, masked_row = _split(row_noise, config.row_mask_ratio)
    ids = visible[:, :, None] * rows + visible_rows[:, None, :]
    scored = masked_column[:, :, None] | masked_row[:, None, :]
    return Mask(ids, None, masked_column, scored[:, None])


def token_mask(noise: jax.Array, ratio: float, model: MaeConfig) -> Mask:
    """Mask the tokens with the largest noise [B, M · H · W], channel by channel, row by row."""
    visible, _, is_masked = _split(noise, ratio)
    grid = is_masked.reshape(len(noise), -1, model.num_rows, model.num_columns)
    return Mask(visible, None, grid.all(axis=(1, 2)), grid.swapaxes(2, 3))


def mask_of_columns(masked: np.ndarray, num_channels: int, model: MaeConfig) -> Mask:
    """Mask the given columns of one example.

    Args:
        masked: [W] bool, True = masked in all channels.
        num_channels: Number of channels M.
        model: Model config; defines the form of ``visible_ids``.

    Raises:
        ConfigError: All columns are masked, or none.
    """
    if masked.all() or not masked.any():
        raise ConfigError(
            f"{int(masked.sum())} of {len(masked)} columns of "
            f"{model.patch_samples / model.sampling_rate_hz:g} s are masked; at least one must be "
            "masked and one visible."
        )
    visible, others = np.flatnonzero(~masked), np.flatnonzero(masked)
    if model.encoder_attention == "factorized":
        return Mask(*(jnp.asarray(values)[None] for values in (visible, others, masked)))
    rows = np.arange(num_channels * model.num_rows)
    ids = (rows[:, None] * model.num_columns + visible).ravel()
    shape = (1, num_channels, model.num_columns, model.num_rows)
    scored = np.broadcast_to(masked[:, None], shape)
    return Mask(jnp.asarray(ids)[None], None, jnp.asarray(masked)[None], jnp.asarray(scored))


def _split(noise: jax.Array, ratio: float) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Split the last axis by rank of its noise: kept ids, masked ids, and the mask."""
    count = num_visible(noise.shape[-1], ratio)
    order = jnp.argsort(noise, axis=-1)
    rank = jnp.argsort(order, axis=-1)
    kept, others = jnp.split(order, [count], axis=-1)
    return jnp.sort(kept, axis=-1), jnp.sort(others, axis=-1), rank >= count

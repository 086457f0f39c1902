"""Mapping from the original's weights to our models (original_weights.md#import)."""

import logging
from collections.abc import Iterable

import jax
import numpy as np

from physio_mae_jax.errors import DataError
from physio_mae_jax.interop.torch.weights import Weights
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.heads.base import HeadConfig
from physio_mae_jax.models.position_embedding import resize_columns
from physio_mae_jax.types import Params

_LOG = logging.getLogger(__name__)

_BATCH_NORM_EPSILON = 1e-5
# Columns of a position table times the columns it is interpolated to.
_MAX_RESIZE_SIZE = 1 << 27


def encoder(weights: Weights, cfg: MaeConfig) -> Params:
    """Take the encoder of v1, v2 (joint attention) or v3 (factorized)."""
    # The length of a rotary table gives the number of heads, which no weight shape determines.
    weights.take("rope_encoder.inv_freq", cfg.width // cfg.num_heads // 2)
    front, position = _position(weights, "pos_embed", cfg, cfg.width)
    tokenizer: Params = {"position": position}
    planes = cfg.wavelet.num_planes
    projection = "patch_embed.proj"
    if cfg.convolutional_stem != "none":
        tokenizer["stem"] = _folded_stem(weights, planes, cfg.width)
        projection, planes = f"{projection}.6", cfg.width // 2
    tokenizer["wavelet_projection"] = weights.patch_projection(
        projection, cfg.width, planes, cfg.patch_scales, cfg.patch_samples
    )
    tokenizer["wavelet_norm"] = weights.norm("patch_embed.norm", cfg.width)
    if cfg.waveform_branch:
        tokenizer["waveform_projection"] = weights.patch_projection(
            "raw_patch_embed.proj", cfg.width, 1, cfg.patch_samples
        )
        tokenizer["waveform_norm"] = weights.norm("raw_patch_embed.norm", cfg.width)
        # Weights of the loss, kept among the buffers by the original, set by the objective here.
        weights.drop("channel_loss_weights")
    block = _factorized_block if cfg.encoder_attention == "factorized" else _joint_block
    blocks = (
        block(weights, f"blocks.{i}", cfg.width, cfg.mlp_rank_ratio) for i in range(cfg.depth)
    )
    params: Params = {
        "tokenizer": tokenizer,
        "stack": {"blocks": _stacked(blocks), "norm": weights.norm("norm", cfg.width)},
    }
    if cfg.class_token:
        token = weights.take("cls_token", 1, 1, cfg.width).reshape(cfg.width)
        params["class_token"] = token + front  # its position is used nowhere else
    return params


def decoder(weights: Weights, cfg: MaeConfig) -> Params:
    """Take the decoder and its heads."""
    width, rows = cfg.decoder_width, cfg.num_rows
    weights.take("rope_decoder.inv_freq", width // cfg.decoder_num_heads // 2)
    front, position = _position(weights, "decoder_pos_embed", cfg, width)
    blocks = (_joint_block(weights, f"decoder_blocks.{i}", width) for i in range(cfg.decoder_depth))
    # [out, in, H, 1] in the original; here one linear layer over the H rows of a column.
    reducer = weights.take("time_reducer.0.weight", width, width, rows, 1)[..., 0]
    heads: Params = {
        "patch": weights.linear("decoder_pred_spec", width, cfg.patch_size),
        "time_reducer": {
            "kernel": reducer.transpose(2, 1, 0).reshape(rows * width, width),
            "bias": weights.take("time_reducer.0.bias", width),
        },
        "time": weights.linear("time_pred", width, cfg.patch_samples),
    }
    if cfg.waveform_head_norm:
        heads["time_norm"] = weights.norm("time_reducer.2", width)
    params: Params = {
        "embed": weights.linear("decoder_embed", cfg.width, width),
        "mask_token": weights.take("mask_token", 1, 1, width).reshape(width),
        "position": position,
        "stack": {"blocks": _stacked(blocks), "norm": weights.norm("decoder_norm", width)},
        "heads": heads,
    }
    if cfg.class_token:
        params["class_position"] = front
    return params


def projection(weights: Weights, width: int, projection_width: int) -> Params:
    """Take the head of the contrastive wrapper."""
    return {
        "expand": weights.linear("proj_head.0", width, width),
        "contract": weights.linear("proj_head.2", width, projection_width),
    }


def classification_head(weights: Weights, cfg: MaeConfig, head: HeadConfig) -> Params:
    """Take a fine-tuning head: the entries besides 'encoder' of a ``Classifier``."""
    width = cfg.width
    params: Params = {}
    inner, last = width, "head.1"
    if head.kind == "reasoning":
        params["head"], last = _reasoning_head(weights, width, head), "head.classifier"
    elif head.kind == "residual_mlp":
        params["head"] = _residual_mlp(weights, width, head)
        inner, last = head.hidden_width, f"head.{5 + head.num_blocks}"
    else:
        params["head"] = {"norm": weights.norm("head.0", width)}
    if head.arcface:
        classes = weights.take("arcface_head.weight", head.num_classes, inner)
        params["arcface"] = {"classes": classes.T}
    else:
        params["output"] = weights.linear(last, inner, head.num_classes)
    return params


def _reasoning_head(weights: Weights, width: int, head: HeadConfig) -> Params:
    queries = weights.take("head.reasoning_tokens", 1, head.num_queries, width)
    params: Params = {
        "queries": queries.reshape(head.num_queries, width),
        "cross": weights.query_attention("head.cross_attn", width),
        "cross_norm": weights.norm("head.norm1", width),
        "self": weights.query_attention("head.self_attn", width),
        "self_norm": weights.norm("head.norm2", width),
        **weights.mlp("head.ffn", width),
        "mlp_norm": weights.norm("head.norm3", width),
    }
    if head.arcface:
        params["projection"] = weights.linear("head.classifier", width, width)
    return params


def _residual_mlp(weights: Weights, width: int, head: HeadConfig) -> Params:
    inner, last = head.hidden_width, 4 + head.num_blocks
    params: Params = {
        "norm": weights.norm("head.0", width),
        "project": weights.linear("head.1", width, inner),
        "output_norm": weights.norm(f"head.{last}", inner),
    }
    for i in range(head.num_blocks):
        name = f"head.{4 + i}"
        params[f"block_{i}_norm"] = weights.norm(f"{name}.norm", inner)
        params[f"block_{i}_first"] = weights.linear(f"{name}.net.0", inner, inner)
        params[f"block_{i}_second"] = weights.linear(f"{name}.net.3", inner, inner)
    return params


def _folded_stem(weights: Weights, planes: int, width: int) -> Params:
    """Take the convolutional stem, its batch normalization folded into the convolutions.

    With its training statistics a batch normalization is one factor and one offset per map.
    """
    params: Params = {}
    layers = ((0, 1, planes, width // 4), (3, 4, width // 4, width // 2))
    for number, (convolution, norm, size_in, size_out) in enumerate(layers):
        name = f"patch_embed.proj.{norm}"
        weights.drop(f"{name}.num_batches_tracked")
        kernel = weights.take(f"patch_embed.proj.{convolution}.weight", size_out, size_in, 3, 3)
        variance = weights.take(f"{name}.running_var", size_out)
        if variance.min(initial=0.0) < 0:
            raise DataError(
                f"{name}.running_var has negative values, which a variance cannot have; check "
                "that the state dict is complete and undamaged."
            )
        factor = weights.take(f"{name}.weight", size_out) / np.sqrt(variance + _BATCH_NORM_EPSILON)
        offset = weights.take(f"{name}.bias", size_out)
        params[f"convolution_{number}"] = {
            "kernel": (kernel * factor[:, None, None, None]).transpose(2, 3, 1, 0),
            "bias": offset - weights.take(f"{name}.running_mean", size_out) * factor,
        }
    return params


def _position(
    weights: Weights, name: str, cfg: MaeConfig, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Take a position table; the original orders rows before columns, here columns come first.

    A table of another length is resized to the window. Also returns the class token's position,
    which precedes the others, zeros if there is none.
    """
    front = int(cfg.class_token)
    num_tokens = weights.size(name, axis=1, default=front + cfg.num_tokens) - front
    num_columns = max(1, num_tokens // cfg.num_rows)
    if num_columns * cfg.num_columns > _MAX_RESIZE_SIZE:
        raise DataError(
            f"{name} has {num_columns} columns, which cannot be interpolated to {cfg.num_columns}; "
            "give the signal_len and patch_size_time that the weights were trained with."
        )
    table = weights.take(name, 1, front + cfg.num_rows * num_columns, width)[0]
    first = table[0] if front else np.zeros(width, np.float32)
    grid = table[front:].reshape(cfg.num_rows, num_columns, width).swapaxes(0, 1)
    if num_columns != cfg.num_columns:
        _LOG.info(
            "%s: interpolated from %d to %d columns; the weights were trained on windows of %d "
            "samples, not %d.",
            name,
            num_columns,
            cfg.num_columns,
            num_columns * cfg.patch_samples,
            cfg.num_samples,
        )
    return first, resize_columns(grid, cfg.num_columns)


def _factorized_block(weights: Weights, name: str, width: int, rank_ratio: float) -> Params:
    return {
        "time_norm": weights.norm(f"{name}.norm_time", width),
        "time_attention": weights.attention(f"{name}.time_attn", width),
        "channel_norm": weights.norm(f"{name}.norm_channel", width),
        "channel_attention": weights.attention(f"{name}.channel_attn", width),
        "smoothing": {
            "kernel": weights.take(f"{name}.temporal_smooth.weight", width, 1, 3)[:, 0].T,
            "bias": weights.take(f"{name}.temporal_smooth.bias", width),
        },
        "mlp_norm": weights.norm(f"{name}.norm_mlp", width),
        "mlp": weights.mlp(f"{name}.mlp", width, rank_ratio),
    }


def _joint_block(weights: Weights, name: str, width: int, rank_ratio: float = 0.0) -> Params:
    return {
        "time_norm": weights.norm(f"{name}.norm1", width),
        "time_attention": weights.attention(f"{name}.attn", width),
        "mlp_norm": weights.norm(f"{name}.norm2", width),
        "mlp": weights.mlp(f"{name}.mlp", width, rank_ratio),
    }


def _stacked(blocks: Iterable[Params]) -> Params:
    """Stack the parameters of blocks on a leading axis, as the scanned model expects."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *blocks)

"""Weights of the original PyTorch CWT-MAE v3 as parameters of our model, every key accounted for.

Only NumPy arrays come in here: how a checkpoint file becomes a mapping of arrays is not the matter
of this module. Names and layouts of the original are those of spec.md §§2-6.
"""

import logging
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference.positions import resize_columns
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.mae import MaskedAutoencoder
from physio_mae_jax.signals.wavelet import WaveletConfig

_LOG = logging.getLogger(__name__)

Params = dict[str, Any]  # a nested dict of arrays, as linen makes it

# What wrappers put before each name: data parallelism, graph compilation, the contrastive model.
_PREFIXES = ("module.", "_orig_mod.", "encoder.")
_MLP_RATIO = 4
_SHOWN = 8
# Name in the original's constructor -> name in MaeConfig.
_SIZES = {
    "signal_len": "num_samples",
    "patch_size_time": "patch_samples",
    "patch_size_freq": "patch_scales",
    "embed_dim": "width",
    "depth": "depth",
    "num_heads": "num_heads",
    "decoder_embed_dim": "decoder_width",
    "decoder_depth": "decoder_depth",
    "decoder_num_heads": "decoder_num_heads",
}


def import_state_dict(
    state_dict: Mapping[str, np.ndarray], config: Mapping[str, Any]
) -> tuple[MaskedAutoencoder, Params]:
    """Turn a state dict of the original v3 into a model of ours and its parameters.

    Args:
        state_dict: arrays by name in PyTorch's layout, with or without the prefixes ``module.``,
            ``_orig_mod.`` and ``encoder.``.
        config: the original's constructor arguments ``signal_len``, ``cwt_scales``, ``embed_dim``,
            ``depth``, ``num_heads``, ``decoder_embed_dim``, ``decoder_depth``,
            ``decoder_num_heads``, ``patch_size_time``, ``patch_size_freq``, and ``use_diff``
            (default False). Another ``signal_len`` than the weights were trained with stretches
            the tables of positions (``positions.resize_columns``). ``sampling_rate_hz`` (default
            100) only names the wavelets' frequencies. Others, such as ``mask_ratio``, shape no
            weight and are not read.

    Returns:
        The model, with the original's linear wavelet bank, joint decoder and no channel
        identities, and its float32 parameters.

    Raises:
        ConfigError: an argument is missing, or they fit no model.
        DataError: weights are missing, are left over or have another shape; all are listed.
    """
    model = MaskedAutoencoder(_model_config(config))
    weights = _Weights(_without_prefixes(state_dict))
    params = _parameters(weights, model.config)
    weights.refuse_problems()
    return model, jax.tree.map(lambda leaf: np.ascontiguousarray(leaf, np.float32), params)


def _model_config(config: Mapping[str, Any]) -> MaeConfig:
    missing = [name for name in (*_SIZES, "cwt_scales") if name not in config]
    if missing:
        raise ConfigError(
            f"the config of the state dict lacks {', '.join(missing)}; give the arguments that "
            "the original model was made with."
        )
    return MaeConfig(
        sampling_rate_hz=float(config.get("sampling_rate_hz", 100.0)),
        wavelet=WaveletConfig(
            bank="samples",
            num_scales=config["cwt_scales"],
            difference_planes=bool(config.get("use_diff", False)),
        ),
        decoder_attention="joint",
        channel_identity=False,
        **{ours: config[theirs] for theirs, ours in _SIZES.items()},
    )


def _without_prefixes(state_dict: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Strip the prefixes of wrappers, in whatever order they were put on."""
    stripped: dict[str, np.ndarray] = {}
    for key, value in state_dict.items():
        name = key
        while prefix := next((p for p in _PREFIXES if name.startswith(p)), ""):
            name = name.removeprefix(prefix)
        if name in stripped:
            raise DataError(f"two weights of the state dict are named {name!r} without prefixes.")
        stripped[name] = np.asarray(value)
    return stripped


class _Weights:
    """Arrays by name, each taken once; what does not fit is collected and told together."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._arrays = dict(arrays)
        self._missing: list[str] = []
        self._misshapen: list[str] = []

    def take(self, name: str, *shape: int) -> np.ndarray:
        """Return the array ``name``; zeros of ``shape`` where it is missing or shaped otherwise."""
        array = self._arrays.pop(name, None)
        if array is None:
            self._missing.append(name)
        elif array.shape != shape:
            self._misshapen.append(f"{name} is {array.shape}, not {shape}")
        else:
            return array
        return np.zeros(shape, np.float32)

    def size(self, name: str, axis: int, default: int) -> int:
        """Return the length of an array along an axis; ``default`` where there is no such."""
        array = self._arrays.get(name)
        return default if array is None or array.ndim <= axis else array.shape[axis]

    def linear(self, name: str, size_in: int, size_out: int, bias: bool = True) -> Params:
        """Take a linear layer, [out, in] in PyTorch and [in, out] here."""
        layer = {"kernel": self.take(f"{name}.weight", size_out, size_in).T}
        return layer | ({"bias": self.take(f"{name}.bias", size_out)} if bias else {})

    def patch_projection(self, name: str, size_out: int, *kernel: int) -> Params:
        """Take a convolution whose kernel [in, …] equals its stride as the linear layer it is."""
        weight = self.take(f"{name}.weight", size_out, *kernel).reshape(size_out, -1)
        return {"kernel": weight.T, "bias": self.take(f"{name}.bias", size_out)}

    def norm(self, name: str, width: int) -> Params:
        """Take a LayerNorm."""
        return {
            "scale": self.take(f"{name}.weight", width),
            "bias": self.take(f"{name}.bias", width),
        }

    def attention(self, name: str, width: int) -> Params:
        """Take an attention layer with a fused query, key and value."""
        return {
            "qkv": self.linear(f"{name}.qkv", width, 3 * width, bias=False),
            "output": self.linear(f"{name}.proj", width, width),
        }

    def mlp(self, name: str, width: int) -> Params:
        """Take the two linear layers of an MLP."""
        return {
            "expand": self.linear(f"{name}.0", width, _MLP_RATIO * width),
            "contract": self.linear(f"{name}.3", _MLP_RATIO * width, width),
        }

    def refuse_problems(self) -> None:
        """Raise a DataError that lists all that was missing, misshapen or never taken."""
        problems = {
            "missing": self._missing,
            "of another shape than the config asks for": self._misshapen,
            "that this model has no place for": sorted(self._arrays),
        }
        lines = [f"  {len(some)} {what}: {_first(some)}" for what, some in problems.items() if some]
        if lines:
            raise DataError(
                "the state dict does not fit a CWT-MAE v3 of this config; weights\n"
                + "\n".join(lines)
                + "\nCheck the config against the one the weights were trained with."
            )


def _first(names: list[str]) -> str:
    rest = f", … and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest


def _parameters(weights: _Weights, cfg: MaeConfig) -> Params:
    planes = cfg.wavelet.num_planes
    _account_for_buffers(weights, cfg)
    return {
        "tokenizer": {
            "position": _position(weights, "pos_embed", cfg, cfg.width),
            "wavelet_projection": weights.patch_projection(
                "patch_embed.proj", cfg.width, planes, cfg.patch_scales, cfg.patch_samples
            ),
            "wavelet_norm": weights.norm("patch_embed.norm", cfg.width),
            "waveform_projection": weights.patch_projection(
                "raw_patch_embed.proj", cfg.width, 1, cfg.patch_samples
            ),
            "waveform_norm": weights.norm("raw_patch_embed.norm", cfg.width),
        },
        "encoder": {
            "blocks": _stacked(
                _encoder_block(weights, f"blocks.{i}", cfg.width) for i in range(cfg.depth)
            ),
            "norm": weights.norm("norm", cfg.width),
        },
        "decoder": _decoder(weights, cfg),
    }


def _account_for_buffers(weights: _Weights, cfg: MaeConfig) -> None:
    """Take what the original keeps beside its weights, which we compute or configure.

    The length of a rotary table tells the number of heads, which no weight's shape does.
    """
    weights.take("rope_encoder.inv_freq", cfg.width // cfg.num_heads // 2)
    weights.take("rope_decoder.inv_freq", cfg.decoder_width // cfg.decoder_num_heads // 2)
    weights.take("channel_loss_weights", 1, 1, 1, cfg.wavelet.num_planes)


def _position(weights: _Weights, name: str, cfg: MaeConfig, width: int) -> np.ndarray:
    """Take a table of positions, rows before columns there and columns before rows here.

    One of another length is resized to the window's.
    """
    num_tokens = weights.size(name, axis=1, default=cfg.num_rows * cfg.num_columns)
    num_columns = max(1, num_tokens // cfg.num_rows)
    table = weights.take(name, 1, cfg.num_rows * num_columns, width)
    table = table.reshape(cfg.num_rows, num_columns, width).swapaxes(0, 1)
    if num_columns != cfg.num_columns:
        _LOG.info(
            "%s: stretched from %d to %d columns; the weights were trained on windows of %d "
            "samples, not %d.", name, num_columns, cfg.num_columns,
            num_columns * cfg.patch_samples, cfg.num_samples,
        )  # fmt: skip
    return resize_columns(table, cfg.num_columns)


def _encoder_block(weights: _Weights, name: str, width: int) -> Params:
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
        "mlp": weights.mlp(f"{name}.mlp", width),
    }


def _decoder_block(weights: _Weights, name: str, width: int) -> Params:
    return {
        "time_norm": weights.norm(f"{name}.norm1", width),
        "time_attention": weights.attention(f"{name}.attn", width),
        "mlp_norm": weights.norm(f"{name}.norm2", width),
        "mlp": weights.mlp(f"{name}.mlp", width),
    }


def _decoder(weights: _Weights, cfg: MaeConfig) -> Params:
    width, rows = cfg.decoder_width, cfg.num_rows
    # [out, in, H, 1] there; here one linear layer over the H rows of a column, row by row.
    reducer = weights.take("time_reducer.0.weight", width, width, rows, 1)[..., 0]
    return {
        "embed": weights.linear("decoder_embed", cfg.width, width),
        "mask_token": weights.take("mask_token", 1, 1, width).reshape(width),
        "position": _position(weights, "decoder_pos_embed", cfg, width),
        "stack": {
            "blocks": _stacked(
                _decoder_block(weights, f"decoder_blocks.{i}", width)
                for i in range(cfg.decoder_depth)
            ),
            "norm": weights.norm("decoder_norm", width),
        },
        "patch_head": weights.linear("decoder_pred_spec", width, cfg.patch_size),
        "time_reducer": {
            "kernel": reducer.transpose(2, 1, 0).reshape(rows * width, width),
            "bias": weights.take("time_reducer.0.bias", width),
        },
        "time_norm": weights.norm("time_reducer.2", width),
        "time_head": weights.linear("time_pred", width, cfg.patch_samples),
    }


def _stacked(blocks: Any) -> Params:
    """Stack the parameters of blocks on a leading axis, as the scanned model wants them."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *blocks)

"""Import of the original PyTorch CWT-MAE weights; every key is accounted for.

The input is NumPy arrays; ``checkpoint_file`` reads them from checkpoint files. The names in the
state dict determine the version, and whether there is a decoder, a contrastive wrapper or a
fine-tuning head.
"""

from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.interop.torch import parameter_mapping
from physio_mae_jax.interop.torch.arguments import checked_arguments
from physio_mae_jax.interop.torch.weights import Weights
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.contrastive import ContrastiveAutoencoder
from physio_mae_jax.models.heads.base import HeadConfig
from physio_mae_jax.models.heads.classifier import Classifier
from physio_mae_jax.models.mae import MaskedAutoencoder
from physio_mae_jax.printable import show
from physio_mae_jax.signals.wavelet_bank import WaveletConfig
from physio_mae_jax.types import JsonMapping, JsonObject, Params

# Prefixes of wrappers: data parallelism, graph compilation, the contrastive model, the fine-tuned
# classifier.
_PREFIXES = ("module.", "_orig_mod.", "encoder_model.", "encoder.")
# Name in the original's constructor -> name in MaeConfig.
_ENCODER_SIZES = {
    "signal_len": "num_samples",
    "patch_size_time": "patch_samples",
    "patch_size_freq": "patch_scales",
    "embed_dim": "width",
    "depth": "depth",
    "num_heads": "num_heads",
}
_DECODER_SIZES = {
    "decoder_embed_dim": "decoder_width",
    "decoder_depth": "decoder_depth",
    "decoder_num_heads": "decoder_num_heads",
}
# Sizes of an absent decoder, which is never run.
_NO_DECODER = {"decoder_width": 2, "decoder_depth": 1, "decoder_num_heads": 1}
_RANK_RATIO = 0.5
_TEMPERATURE = 0.07


def import_state_dict(
    state_dict: Mapping[str, np.ndarray], config: Mapping[str, object]
) -> tuple[nn.Module, Params]:
    """Convert a state dict of the original v1, v2 or v3 to a model and its parameters.

    Args:
        state_dict: Arrays by name in PyTorch's layout, with or without the prefixes ``module.``,
            ``_orig_mod.``, ``encoder.`` and ``encoder_model.``.
        config: The original's constructor arguments ``signal_len``, ``cwt_scales``, ``embed_dim``,
            ``depth``, ``num_heads``, ``patch_size_time``, ``patch_size_freq``, with a decoder also
            ``decoder_embed_dim``, ``decoder_depth``, ``decoder_num_heads``. Optional arguments:
            ``use_diff`` (v3; default False), ``mlp_rank_ratio`` (v1, v2; default 0.5),
            ``arcface_s`` and ``arcface_m`` (default 30 and 0.5), ``temperature`` (default 0.07),
            ``sampling_rate_hz`` (default 100; it only names the wavelets' frequencies),
            ``version`` ('v1' or 'v2', which names and sizes cannot distinguish; only where the
            decoder puts the class token differs, see below). Another
            ``signal_len`` than in training interpolates the position tables
            (``positions.resize_columns``). Others, such as ``mask_ratio``, affect no weight and
            are ignored.

    Returns:
        The model and its float32 parameters: a ``ContrastiveAutoencoder`` where the state dict
        has ``proj_head.*``, a ``Classifier`` where it has ``head.*``, else a
        ``MaskedAutoencoder``; one without a decoder has parameters for ``encode`` and
        ``features`` only. All with the original's linear wavelet bank, joint decoder and no
        channel identities. Without a ``version``, weights of v1 or v2 act as v2's on one
        channel and as v1's on several.

    Raises:
        ConfigError: An argument is missing, mistyped or out of range, or they fit no model.
        DataError: Weights are missing, surplus, not finite or misshapen; the message lists all of
            them.
    """
    weights = Weights(_without_prefixes(state_dict))
    names = weights.names()
    has_decoder = any(name.startswith("decoder_") for name in names)
    if not isinstance(config, Mapping):
        raise ConfigError(f"the config of the state dict is {show(config)}, not names and values.")
    sizes = _ENCODER_SIZES | (_DECODER_SIZES if has_decoder else {})
    config = checked_arguments(config, (*sizes, "cwt_scales"))
    cfg = _model_config(config, names, sizes)
    params: Params = {"encoder": parameter_mapping.encoder(weights, cfg)}
    if has_decoder:
        params["decoder"] = parameter_mapping.decoder(weights, cfg)
    model: nn.Module = MaskedAutoencoder(cfg)
    if any(name.startswith("proj_head.") for name in names):
        width = weights.size("proj_head.2.weight", axis=0, default=256)
        params = {
            "autoencoder": params,
            "projection": parameter_mapping.projection(weights, cfg.width, width),
        }
        temperature = float(config.get("temperature", _TEMPERATURE))
        model = ContrastiveAutoencoder(cfg, width, temperature)
    elif any(name.startswith("head.") for name in names) and not has_decoder:
        head = _head_config(weights, config)
        params |= parameter_mapping.classification_head(weights, cfg, head)
        model = Classifier(cfg, head)
    weights.reject_problems()
    return model, _as_float32(params)


def _as_float32(params: Params) -> Params:
    """Return contiguous float32 parameters; raise a DataError if one is too large."""
    params = jax.tree.map(lambda leaf: np.ascontiguousarray(leaf, np.float32), params)
    _check_overflow(params)
    return params


def _check_overflow(params: Params) -> None:
    """Reject parameters that overflowed when weights were folded."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if not np.isfinite(leaf).all():
            name = "/".join(str(key.key) for key in path)
            raise DataError(
                f"the weights of {name} are too large to be folded in float32; check that "
                "the state dict is complete."
            )


def _model_config(config: JsonMapping, names: set[str], sizes: Mapping[str, str]) -> MaeConfig:
    values: JsonObject = _NO_DECODER | {ours: config[their] for their, ours in sizes.items()}
    joint = "cls_token" in names
    if joint:
        stem = any(name.startswith("patch_embed.proj.0.") for name in names)
        values |= {
            "encoder_attention": "joint",
            "class_token": True,
            "rotary_positions": "token",
            "decoder_class_position": _class_position(config.get("version")),
            "mlp_rank_ratio": float(config.get("mlp_rank_ratio", _RANK_RATIO)),
            "waveform_branch": False,
            "waveform_head_norm": False,
            "convolutional_stem": "folded" if stem else "none",
        }
    return MaeConfig(
        sampling_rate_hz=float(config.get("sampling_rate_hz", 100.0)),
        wavelet=WaveletConfig(
            bank="samples",
            num_scales=config["cwt_scales"],
            # v1 and v2 always have the planes of differences.
            difference_planes=joint or bool(config.get("use_diff", False)),
        ),
        decoder_attention="joint",
        channel_embedding=False,
        **values,
    )


def _class_position(version: str | None) -> str:
    choices = {None: "one_channel", "v1": "never", "v2": "always"}
    if version not in choices:  # as v3
        raise ConfigError(
            f"version={version!r} does not fit weights with a class token; give 'v1' or 'v2'."
        )
    return choices[version]


def _head_config(weights: Weights, config: JsonMapping) -> HeadConfig:
    """Derive the kind and sizes of a head from its weights."""
    names = weights.names()
    kind, output = "linear", "head.1.weight"
    num_blocks = len([name for name in names if name.endswith(".net.0.weight")])
    if "head.reasoning_tokens" in names:
        kind, output = "reasoning", "head.classifier.weight"
    elif num_blocks:
        kind, output = "residual_mlp", f"head.{5 + num_blocks}.weight"
    arcface = "arcface_head.weight" in names
    return HeadConfig(
        kind=kind,
        num_classes=weights.size("arcface_head.weight" if arcface else output, 0, default=1),
        num_queries=weights.size("head.reasoning_tokens", 1, default=16),
        hidden_width=weights.size("head.1.weight", 0, default=512),
        num_blocks=num_blocks or 2,
        arcface=arcface,
        arcface_scale=float(config.get("arcface_s", 30.0)),
        arcface_margin=float(config.get("arcface_m", 0.5)),
    )


def _without_prefixes(state_dict: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Strip the prefixes of wrappers, in any order."""
    stripped: dict[str, np.ndarray] = {}
    for key, value in state_dict.items():
        if not isinstance(key, str):
            raise DataError(f"weight {show(key)} of the state dict has a name that is not text.")
        name = key
        while prefix := next((p for p in _PREFIXES if name.startswith(p)), ""):
            name = name.removeprefix(prefix)
        if name in stripped:
            raise DataError(
                f"two weights of the state dict are named {show(name)} without prefixes."
            )
        stripped[name] = _numbers(key, value)
    return stripped


def _numbers(name: str, value: object) -> np.ndarray:
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise DataError(f"weight {show(name)} is not an array: {str(error)[:200]}.") from error
    real = jnp.issubdtype(array.dtype, jnp.floating) or jnp.issubdtype(array.dtype, jnp.integer)
    if not real and array.dtype != np.bool_:
        raise DataError(f"weight {show(name)} is of type {array.dtype}; real numbers are expected.")
    return array

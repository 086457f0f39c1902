"""Export of an encoder as a StableHLO program that runs with JAX alone, on CPU, CUDA and TPU.

The program contains the weights, so the file is self-contained; run it with
``jax.export.deserialize(content).call(signal, channel_mask, channel_ids)``. It takes preprocessed
windows; the JSON file beside it describes the preprocessing.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
from jax import export

from physio_mae_jax import atomic_files
from physio_mae_jax.data.format_version import add_version, check_version
from physio_mae_jax.data.json_reader import read_json
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.inference import arguments
from physio_mae_jax.inference.compiled_encoder import encode_windows
from physio_mae_jax.inference.trained_model import TrainedModel
from physio_mae_jax.local_paths import local_path
from physio_mae_jax.models.pooling import pool_tokens
from physio_mae_jax.setting_kinds import Number
from physio_mae_jax.signals.channels import trained_channel_id
from physio_mae_jax.types import JsonObject

PLATFORMS = ("cpu", "cuda", "tpu")
_NUM_CHANNELS = Number(low=1, high=4096, whole=True, example=12)
_NAMES = ", ".join(PLATFORMS)


def export_encoder(
    trained: TrainedModel,
    path: str | Path,
    *,
    num_channels: int | None = None,
    platforms: Sequence[str] = PLATFORMS,
) -> Path:
    """Write the encoder as a program for batches of any size.

    Args:
        trained: Trained model.
        path: Path of the file; ``path + '.json'`` describes the call.
        num_channels: Number of channels M of its windows; None for that of training.
        platforms: Target platforms.

    Returns:
        The path.

    Raises:
        UserError: A platform is unknown, or the path or number of channels is invalid.
    """
    platforms = arguments.texts(platforms, "platforms", f"name one or more of {_NAMES}")
    for platform in platforms:
        if platform not in PLATFORMS:
            raise ConfigError(
                f"platform {platform!r} is unknown; choose from {', '.join(PLATFORMS)}."
            )
    target = local_path(path, "path")
    channels = trained.model_spec.input.num_channels
    if num_channels is not None:
        channels = int(arguments.setting(num_channels, "num_channels", _NUM_CHANNELS))
    exported = _exported(trained, channels, platforms)
    atomic_files.prepare_workdir(target.parent, "path")
    with atomic_files.disk_full_as_user_error(target.parent):
        with atomic_files.atomic_write(target) as partial:
            partial.write_bytes(exported.serialize())
        atomic_files.write_json(
            target.with_name(f"{target.name}.json"),
            add_version(_calling(trained, channels, platforms)),
        )
    return target


def _exported(trained: TrainedModel, channels: int, platforms: Sequence[str]) -> export.Exported:
    config = dataclasses.replace(
        # Fused attention is specific to one platform; the program runs on all.
        trained.model_spec.model.for_inference(),
        attention_implementation="xla",
    )
    params = trained.autoencoder_params["encoder"]
    alone = trained.model_spec.channel_independent

    def embed(signal: jax.Array, channel_mask: jax.Array, channel_ids: jax.Array) -> jax.Array:
        batch = {"signal": signal, "channel_mask": channel_mask, "channel_ids": channel_ids}
        latents = encode_windows(config, params, batch, channel_independent=alone)
        return pool_tokens(latents, channel_mask[:, :, None, None])

    (batch,) = export.symbolic_shape("b")
    shapes = (
        jax.ShapeDtypeStruct((batch, channels, config.num_samples), jnp.float32),
        jax.ShapeDtypeStruct((batch, channels), jnp.bool_),
        jax.ShapeDtypeStruct((batch, channels), jnp.int32),
    )
    return export.export(jax.jit(embed), platforms=tuple(platforms))(*shapes)


def _calling(trained: TrainedModel, channels: int, platforms: Sequence[str]) -> JsonObject:
    """Describe the inputs and outputs of the program."""
    model_spec = trained.model_spec
    length = model_spec.input.num_samples
    return {
        "call": "jax.export.deserialize(open(path, 'rb').read()).call(signal, mask, ids)",
        "platforms": list(platforms),
        "inputs": {
            "signal": f"float32 [b, {channels}, {length}], {model_spec.input.normalization}",
            "channel_mask": f"bool [b, {channels}], True where a channel is present and varies",
            "channel_ids": f"int32 [b, {channels}], see channel_ids below",
        },
        "output": f"float32 [b, {model_spec.model.width}]",
        "channel_ids": {name: trained_channel_id(name) for name in model_spec.input.channels},
        "input_spec": model_spec.input.to_json(),
    }


def read_calling(path: str | Path) -> JsonObject:
    """Read the JSON file beside an exported program; DataError if it is invalid."""
    beside, hint = Path(f"{path}.json"), "export the encoder again."
    return check_version(read_json(beside, hint), str(beside))

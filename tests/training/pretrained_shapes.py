"""Shapes of pre-trained encoders."""

import functools

import jax

from configs.pretrain import get_config
from physio_mae_jax.experiment.model_section import ModelSection
from physio_mae_jax.experiment.typed_config import to_dataclass
from physio_mae_jax.objectives.contrastive import ContrastiveConfig
from physio_mae_jax.objectives.pretraining import ObjectiveConfig
from physio_mae_jax.training.model_spec import build_autoencoder, init_params


@functools.cache
def pretrained_shapes(model: str, channels: int):
    """Return the configuration, the encoder's shapes and whether it is channel-independent."""
    config = get_config(f"preset=debug,variant={model}")
    settings = ModelSection.from_section("model", config.model).for_window(
        config.window_seconds, config.sampling_rate_hz
    )
    contrastive = to_dataclass(ContrastiveConfig, "contrastive", config.contrastive)
    mask = to_dataclass(ObjectiveConfig, "objective", config.objective).mask
    init_channels = 1 if contrastive.weight else 2
    params = jax.eval_shape(
        lambda: init_params(
            build_autoencoder(settings, contrastive), mask, jax.random.key(0), init_channels
        )
    )
    tree = params["autoencoder"] if contrastive.weight else params
    return settings, tree["encoder"], bool(contrastive.weight) or channels == 1

"""Static parts of a pre-training step, built from its config without any data."""

import dataclasses

import jax

from physio_mae_jax.data.opening import DatasetBundle
from physio_mae_jax.data.pipeline import LoaderConfig
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment.configs import PretrainConfig
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.signals.vocabulary import VOCABULARY
from physio_mae_jax.signals.wavelet_bank import wavelet_bank
from physio_mae_jax.training.model_spec import build_autoencoder
from physio_mae_jax.training.optimizer import learning_rate_schedule, make_optimizer
from physio_mae_jax.training.pretrain_step import PretrainSpec


def build_pretrain_spec(
    config: PretrainConfig, num_channel_names: int = len(VOCABULARY)
) -> PretrainSpec:
    """Build the static parts of a training step; no data is opened.

    Args:
        config: Settings of the pre-training.
        num_channel_names: Number of channel names with an embedding in the model.

    Raises:
        ConfigError: A setting contradicts another one.
    """
    model = config.model.for_window(
        config.window_seconds, config.sampling_rate_hz, num_channel_names
    )
    if config.objective.latent_weight:
        _reject_contrastive(config)
        model = dataclasses.replace(model, latent_head=True)
    config.objective.check_against(model)
    config.contrastive.check_against(model)
    if config.contrastive.weight and config.contrastive.cross_modal_weight:
        _check_cross_modal(config, model)
    # Built here for validation: the bank rejects frequencies that a window cannot resolve.
    wavelet_bank(model.wavelet, model.sampling_rate_hz, model.num_samples)
    return PretrainSpec(
        model=build_autoencoder(model, config.contrastive),
        objective=config.objective,
        contrastive=config.contrastive if config.contrastive.weight else None,
        optimizer=make_optimizer(config.optimizer, config.loop.num_steps),
        learning_rate=learning_rate_schedule(config.optimizer, config.loop.num_steps),
        accumulation_steps=config.accumulation_steps,
    )


def _check_cross_modal(config: PretrainConfig, model: MaeConfig) -> None:
    """Raise a ConfigError if a model cannot predict a channel from the other."""
    if config.objective.mask.kind != "tube":
        raise ConfigError(
            "contrastive.cross_modal_weight predicts whole columns, but objective.mask.kind="
            f"{config.objective.mask.kind!r} masks tokens; set it to 'tube'."
        )
    if model.encoder_attention == "factorized" and not model.channel_attention:
        raise ConfigError(
            "contrastive.cross_modal_weight needs attention across channels; set "
            "model.channel_attention to True, or contrastive.cross_modal_weight to 0."
        )


def _reject_contrastive(config: PretrainConfig) -> None:
    if config.contrastive.weight:
        raise ConfigError(
            f"objective.latent_weight={config.objective.latent_weight} and contrastive.weight="
            f"{config.contrastive.weight} exclude each other; set one of them to 0."
        )


def loader_config(config: PretrainConfig, opened: DatasetBundle) -> LoaderConfig:
    """Return how batches are made, and which of them this process makes."""
    return LoaderConfig(
        batch_size=config.batch_size,
        seed=config.seed,
        num_threads=config.data.num_threads,
        speed_perturbation=config.data.speed_perturbation,
        augment=config.data.augment,
        set_weights=opened.set_weights,
        sampling_temperature=config.data.sampling_temperature,
        windows_per_recording=config.data.windows_per_recording,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )

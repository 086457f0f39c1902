"""A small pre-training step."""

from physio_mae_jax.objectives.pretraining import ObjectiveConfig
from physio_mae_jax.training.optimizer import (
    OptimizerConfig,
    learning_rate_schedule,
    make_optimizer,
)
from physio_mae_jax.training.pretrain_step import (
    PretrainSpec,
)
from tests.factories import tiny_model

NUM_STEPS = 6


def pretrain_task(accumulation_steps=1, latent_weight=0.0, predicted_share=1.0, **changes):
    config = OptimizerConfig(peak_learning_rate=1e-2, warmup_steps=1)
    return PretrainSpec(
        model=tiny_model(depth=1, width=16, latent_head=bool(latent_weight), **changes),
        objective=ObjectiveConfig(
            latent_weight=latent_weight, teacher_decay=0.5, predicted_share=predicted_share
        ),
        optimizer=make_optimizer(config, NUM_STEPS),
        learning_rate=learning_rate_schedule(config, NUM_STEPS),
        accumulation_steps=accumulation_steps,
    )

"""The schedule of the learning rate, and what weight decay spares."""

import jax
import pytest

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.training.optimizer import (
    OptimizerConfig,
    learning_rate_schedule,
    weight_decay_mask,
)
from physio_mae_jax.training.pretrain_step import (
    init_state,
)
from tests.training.pretrain_tasks import pretrain_task


def test_weight_decay_spares_biases_norms_positions_and_tokens():
    params = jax.eval_shape(lambda: init_state(pretrain_task(), jax.random.key(0))).params
    names = {
        "/".join(key.key for key in path): on
        for path, on in jax.tree_util.tree_leaves_with_path(weight_decay_mask(params))
    }
    assert names["encoder/stack/blocks/mlp/expand/kernel"]
    assert names["encoder/tokenizer/wavelet_projection/kernel"]
    spared = [name for name, on in names.items() if not on]
    assert {name.rsplit("/")[-1] for name in spared} == {
        "bias", "scale", "position", "mask_token", "embedding",
    }  # fmt: skip


def test_schedule_rises_to_the_peak_and_falls_to_the_end():
    config = OptimizerConfig(peak_learning_rate=1e-3, end_learning_rate=1e-5, warmup_steps=10)
    rate = learning_rate_schedule(config, 100)
    assert rate(0) == 0
    assert float(rate(5)) == pytest.approx(5e-4)
    assert float(rate(10)) == pytest.approx(1e-3)
    assert float(rate(55)) == pytest.approx((1e-3 + 1e-5) / 2)
    assert float(rate(100)) == pytest.approx(1e-5)
    with pytest.raises(ConfigError, match="warmup_steps=100"):
        learning_rate_schedule(OptimizerConfig(peak_learning_rate=1, warmup_steps=100), 100)

"""The loss of an auxiliary task counts the windows whose label is known."""

import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.objectives.auxiliary import (
    AuxiliaryConfig,
    AuxiliaryOutputs,
    auxiliary_loss,
)
from physio_mae_jax.objectives.supervised import SupervisedConfig, supervised_losses


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_windows_without_a_label_do_not_count(kind):
    rng = np.random.default_rng(0)
    logits = jnp.asarray(rng.normal(size=(5, 3)), jnp.float32)
    targets = jnp.asarray(np.eye(3, dtype=np.float32)[[0, 1, 2, 1, 0]])
    known = jnp.array([True, False, True, False, True])
    outputs, config = AuxiliaryOutputs(kind, 3, 0.5), SupervisedConfig(label_smoothing=0.1)
    kept = jnp.array([0, 2, 4])
    losses = supervised_losses(logits[kept], targets[kept], kind, jnp.ones(3), config)
    found = auxiliary_loss(logits, targets, known, outputs, config)
    np.testing.assert_allclose(found, losses.mean(), rtol=1e-6)
    assert auxiliary_loss(logits, targets, jnp.zeros(5, bool), outputs, config) == 0


def test_a_weight_below_0_is_an_error():
    with pytest.raises(ConfigError, match=r"auxiliary\.weight is -1"):
        AuxiliaryConfig(task="all", weight=-1)

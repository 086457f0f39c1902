"""Parameters, gradient and optimizer state of a classifier have one structure."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.finetune import get_config as finetune_config
from physio_mae_jax.experiment.classifiers import EncoderInit, build_supervised_spec
from physio_mae_jax.experiment.pretrained_encoders import PretrainedEncoder
from physio_mae_jax.training.state import TrainState, apply_gradients
from physio_mae_jax.training.supervised_step import init_variables
from tests.runs import typed
from tests.training.pretrained_shapes import pretrained_shapes

MODELS = ("v1", "v2", "v3", "contrastive")
COUNTS = (1, 12)


@pytest.mark.parametrize(("model", "frozen_blocks"), [*((m, -1) for m in MODELS), ("v3", 100)])
@pytest.mark.parametrize("before", COUNTS)
@pytest.mark.parametrize("after", COUNTS)
def test_parameters_gradient_and_optimizer_have_one_structure(model, before, after, frozen_blocks):
    settings, encoder, alone = pretrained_shapes(model, before)
    start = PretrainedEncoder(settings, encoder, None, "run", alone)
    config = finetune_config("preset=debug")
    config.frozen_blocks = min(frozen_blocks, settings.depth)
    encoder_init = EncoderInit(settings.sampling_rate_hz, settings.num_samples, settings, start)
    targets = np.eye(2, dtype=np.float32)[[0, 1, 1]]
    units = SimpleNamespace(targets=targets, kind="multiclass", auxiliary=None)
    task, _ = build_supervised_spec(typed(config), encoder_init, units, after)
    new, _ = jax.eval_shape(
        lambda: init_variables(task.model, jax.random.key(0), (after, settings.num_samples))
    )
    merged = start.for_training().merge_into(new["encoder"])
    params = new | {"encoder": merged.params}
    assert jax.tree.structure(params) == jax.tree.structure(new)
    assert [x.shape for x in jax.tree.leaves(params)] == [x.shape for x in jax.tree.leaves(new)]
    params = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), params)

    def update(params):
        state = TrainState.start(jax.random.key(0), params, task.optimizer, averaged=tuple(params))
        return apply_gradients(state, task.optimizer, params, jnp.zeros(()), ema_decay=0.9)[
            0
        ].params

    assert jax.tree.structure(jax.eval_shape(update, params)) == jax.tree.structure(new)

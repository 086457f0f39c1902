"""Fine-tunings on the waves, and comparison of their states."""

import jax
import numpy as np

from physio_mae_jax.commands.finetune import build_finetuning
from physio_mae_jax.training.sharding import shard_batch
from tests.runs import finetuning_config, typed


def build(root, workdir, strict=True, **changes):
    return build_finetuning(typed(finetuning_config(root, **changes)), workdir, strict=strict)


def assert_same(ours, theirs):
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(ours), jax.device_get(theirs))


def take_steps(run, count):
    """Take some steps; return the states before the first and after each."""
    step = run.trainable.compile_step(run.trainable.mesh)
    state = run.trainable.start(jax.random.key(0), run.trainable.mesh)
    states = [jax.device_get(state)]
    for _ in range(count):
        batch = next(run.training.training)
        inputs = {name: batch[name] for name in run.trainable.inputs}
        state, _ = step(state, shard_batch(inputs, run.trainable.mesh))
        states.append(jax.device_get(state))
    return states

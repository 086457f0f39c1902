"""The stem sees nothing behind the end of a signal."""

import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.models.window_batch import Windows
from tests.factories import random_batch, random_params, tiny_model


def test_the_stem_sees_nothing_behind_the_end_of_a_signal():
    model = tiny_model(convolutional_stem="normalized")
    params = random_params(model)
    batch = random_batch(2, 2)
    valid = jnp.array([12, 12])
    other = batch | {"signal": batch["signal"].at[:, :, 240:].set(50.0)}

    @jax.jit
    def features(b):
        windows = Windows.of(b | {"num_valid_columns": valid})
        return model.apply({"params": params}, windows, method="features")

    np.testing.assert_allclose(features(batch), features(other), atol=1e-5)

"""Every layer of a stack is listed once, and every n-th may have attention."""

import numpy as np
import pytest

from physio_mae_jax.models.layer_plan import ALIKE, GROUPED, GROUPED_ATTENTION, LayerPlan


@pytest.mark.parametrize("every", [0, 2, 4])
@pytest.mark.parametrize("depth", [1, 4, 8, 10])
def test_every_layer_is_listed_once(depth, every):
    plan = LayerPlan(depth, every)
    listed = [numbers.ravel() for numbers in plan.layers().values()]
    np.testing.assert_array_equal(np.sort(np.concatenate(listed)), np.arange(depth))
    attention = [i for i, name in enumerate(plan.mixers("other")) if name == "attention"]
    assert attention == [i for i in range(depth) if every and (i + 1) % every == 0]


def test_groups_end_in_attention():
    layers = LayerPlan(10, 4).layers()
    np.testing.assert_array_equal(layers[GROUPED], [[0, 1, 2], [4, 5, 6]])
    np.testing.assert_array_equal(layers[GROUPED_ATTENTION], [3, 7])
    np.testing.assert_array_equal(layers[ALIKE], [8, 9])


def test_a_stack_of_layers_alike_has_no_groups():
    assert list(LayerPlan(3).layers()) == [ALIKE]

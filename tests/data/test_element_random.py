"""Generators of elements: those of Grain's random map, alone and in any batch."""

import grain
import numpy as np

from physio_mae_jax.data.element_random import element_generators


class _Draw(grain.transforms.RandomMap):
    def random_map(self, element, rng):
        return rng.integers(1000), rng.random(), rng.integers(2**40)


def test_streams_are_those_of_grain():
    for seed in (0, 7, 2**31):
        dataset = grain.MapDataset.range(10_000).seed(seed).random_map(_Draw())
        elements = [0, 1, 2, 77, 9_999]
        drawn = [
            (rng.integers(1000), rng.random(), rng.integers(2**40))
            for rng in element_generators(seed, elements)
        ]
        assert drawn == [dataset[element] for element in elements]


def test_a_stream_depends_on_its_element_alone():
    far = 2**40
    together = [rng.random(5) for rng in element_generators(3, [4, 9, far])]
    for element, expected in zip([4, 9, far], together, strict=True):
        (alone,) = (rng.random(5) for rng in element_generators(3, [element]))
        np.testing.assert_array_equal(alone, expected)
    assert len({values[0] for values in together}) == 3

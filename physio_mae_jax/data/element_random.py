"""Random generators of the elements of a stream: one for each, whatever the batch or process."""

from collections.abc import Iterable, Iterator

import numpy as np

_FULL_BUFFER = 4


def element_generators(seed: int, elements: Iterable[int]) -> Iterator[np.random.Generator]:
    """Yield the generator of each element, a counter-based Philox.

    The streams are those of ``grain``'s ``random_map`` behind ``seed(seed)``, whose bookkeeping
    takes ten times as long. One generator is used for all: its state changes with each element.

    Args:
        seed: Seed of the stream.
        elements: Indices of elements, at least 0.
    """
    key = int(np.random.SeedSequence((seed, 1)).generate_state(1)[0])
    rng = np.random.Generator(np.random.Philox(key))
    bits = rng.bit_generator
    start = dict(bits.state)
    # Integers of Python are read four times as fast as those of arrays.
    counter = {"key": tuple(map(int, start["state"]["key"]))}
    start |= {"state": counter, "buffer": (0, 0, 0, 0), "buffer_pos": _FULL_BUFFER}
    start |= {"has_uint32": 0, "uinteger": 0}
    for element in elements:
        counter["counter"] = (0, 0, 0, element)
        bits.state = start
        yield rng

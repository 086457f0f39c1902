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
    state = dict(rng.bit_generator.state)
    state["buffer"] = np.zeros(4, np.uint64)
    state["buffer_pos"], state["has_uint32"], state["uinteger"] = _FULL_BUFFER, 0, 0
    for element in elements:
        state["state"]["counter"] = np.array([0, 0, 0, element], np.uint64)
        rng.bit_generator.state = state
        yield rng

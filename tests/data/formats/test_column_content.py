"""Content of columns is the same in pieces."""

import numpy as np

from physio_mae_jax.data.formats.column_content import ColumnContent
from tests.tables import NUM_SAMPLES, noise

COUNT = np.arange(NUM_SAMPLES)


def test_content_is_the_same_in_pieces() -> None:
    rng = np.random.default_rng(0)
    for values in (COUNT, COUNT % 7, noise(), np.full(50, 3.0), np.repeat([1.5, 2.5], 40)):
        whole_content, pieces = ColumnContent(), ColumnContent()
        whole_content.add(np.asarray(values, float))
        for piece in np.split(values, np.sort(rng.integers(20, len(values), 3))):
            pieces.add(np.asarray(piece, float))
        assert pieces.describe_ramp() == whole_content.describe_ramp()
        assert pieces.describe_few_values() == whole_content.describe_few_values()
    assert ColumnContent().is_empty

"""Windows begin where no gap is within reach."""

import itertools

import numpy as np
import pytest

from physio_mae_jax.data.window_starts import window_starts
from physio_mae_jax.signals.preprocess import Resampler


@pytest.mark.parametrize("rate", [100.0, 250.0, 64.0, 173.61])
def test_windows_begin_wherever_no_gap_reaches_and_nowhere_else(rate):
    """Against the plain rule: a start is good if what it reads holds no missing sample."""
    change, length, total = Resampler.between(rate, 100.0), 50, round(rate * 9)
    rng = np.random.default_rng(int(rate))
    gaps = [(int(a), int(a + rng.integers(1, 40))) for a in rng.integers(0, total - 40, 2)]
    gap = np.zeros(total, bool)
    for start, stop in gaps:
        gap[start:stop] = True
    good = []
    for start in range(change.length_after(total) - length + 1):
        first, last, _ = change.source_span(start, length, total)
        if not gap[first:last].any():
            good.append(start)
    starts = window_starts(total, gaps, change, length)
    assert [starts[i] for i in range(len(starts))] == good
    ends = starts.end_to_end(length)
    assert set(ends) <= set(good)
    assert all(b - a >= length for a, b in itertools.pairwise(ends))
    assert starts.every(length) == ends
    assert starts.every(1) == good
    covering = starts.covering(length)
    assert set(ends) <= set(covering) <= set(good)
    reached = {start + i for start in good for i in range(length)}
    assert {start + i for start in covering for i in range(length)} == reached

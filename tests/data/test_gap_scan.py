"""Values that are not finite are counted by kind, across segments."""

import numpy as np
import pytest

from physio_mae_jax.data import validation
from physio_mae_jax.errors import DataError
from tests.data.raw_recordings import broken, good, run, source_of


def test_inf_is_counted_apart_and_across_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    signal = broken(0, 498, 4, np.inf)
    signal[0, 900] = np.nan
    signal[1, 300] = -np.inf
    monkeypatch.setattr(validation, "_VALUES_PER_READ", 1000)
    with pytest.raises(DataError, match=r"II has 1 NaN and 4 Inf .* sample 498 .*PPG has 1 Inf"):
        run(source_of(good(), signal))

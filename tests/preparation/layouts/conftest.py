"""A signal to write as a user's own files."""

import numpy as np
import pytest


@pytest.fixture
def signal() -> np.ndarray:
    """Return three channels of 400 samples, float32 [3, 400]."""
    return np.random.default_rng(0).normal(size=(3, 400)).astype(np.float32)

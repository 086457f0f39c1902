"""Noise to resample."""

import numpy as np


def noise(rate_hz, seconds=20.0, channels=2):
    shape = (channels, max(64, round(rate_hz * seconds)))
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)

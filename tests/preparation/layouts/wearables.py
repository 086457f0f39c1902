"""Exports and signals of wearables."""

import numpy as np


def marks_of(annotations):
    return list(
        zip(
            annotations.start.tolist(),
            annotations.stop.tolist(),
            annotations.label.tolist(),
            strict=True,
        )
    )


def wave(num_samples, rate_hz, frequency_hz=0.3, start_s=0.0):
    return np.sin(2 * np.pi * frequency_hz * (start_s + np.arange(num_samples) / rate_hz))


class Reduced:
    """Pickles as a call of a function, with a state set afterwards."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced

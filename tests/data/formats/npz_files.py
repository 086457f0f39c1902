"""Files of ``.npz`` with any members."""

import numpy as np


def write(folder, *, compressed=True, **members):
    given = {
        "X": np.random.default_rng(0).normal(size=(3, 2, 200)).astype(np.float32),
        "channels": np.array(["II", "PPG"]),
        "fs": np.array(100.0),
    } | members
    (np.savez_compressed if compressed else np.savez)(folder / "a.npz", **given)

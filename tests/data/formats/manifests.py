"""Folders with a manifest of one entry."""

import json

import numpy as np


def folder_with(path, entry, name="a"):
    np.savez(
        path / f"{name}.npz",
        X=np.random.default_rng(0).normal(size=(1, 300)).astype(np.float32),
        channels=np.array(["II"]),
        fs=100,
    )
    (path / "manifest.json").write_text(json.dumps({"recordings": [entry]}))
    return path

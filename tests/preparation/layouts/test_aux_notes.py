"""Notes of WFDB annotations are those that wfdb reads."""

import warnings

import numpy as np
import pytest

from physio_mae_jax.preparation.layouts.aux_notes import read_notes

RNG = np.random.default_rng(0)

with warnings.catch_warnings():
    # wfdb 4.3 calls pandas 3.1 with a keyword that it deprecates, and again where it writes.
    warnings.filterwarnings("ignore", message="The inplace keyword")
    import wfdb

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")


def test_aux_notes_equal_those_of_wfdb(tmp_path):
    samples = np.sort(RNG.choice(3_000_000, 200, replace=False))
    notes = [("", "a", "ann2", "three words long")[i] for i in RNG.integers(0, 4, 200)]
    wfdb.wrann(
        "x",
        "atr",
        sample=samples,
        symbol=["N"] * 200,
        aux_note=notes,
        fs=100,
        write_dir=str(tmp_path),
    )
    read = wfdb.rdann(str(tmp_path / "x"), "atr")
    assert read_notes(tmp_path / "x.atr") == list(zip(samples.tolist(), notes, strict=True))
    assert read.sample.tolist() == samples.tolist()

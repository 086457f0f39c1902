"""Packed twelve-lead ECGs state their rows and their leads."""

from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.preparation.layouts.twelve_leads import check_twelve_leads
from physio_mae_jax.signals.channels import TWELVE_LEADS


def check(shape, leads=TWELVE_LEADS, rows=2):
    arrays = {"shape": np.array(shape), "leads": np.array(leads)}
    check_twelve_leads(Path("a.npz"), arrays, rows)


def test_other_shapes_and_leads_are_rejected():
    check((2, 12, 5000))
    for shape, leads in (
        ((3, 12, 5000), TWELVE_LEADS),
        ((2, 8, 5000), TWELVE_LEADS),
        ((2, 12), TWELVE_LEADS),
        ((2, 12, 5000), TWELVE_LEADS[::-1]),
    ):
        with pytest.raises(UnreadableError, match=r"a\.npz has shape .*\(2, 12, samples\)"):
            check(shape, leads)

"""Packed twelve-lead ECGs state their rows and their leads."""

import numpy as np
import pytest

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.preparation.layouts.twelve_leads import packed_twelve_leads
from physio_mae_jax.signals.channels import TWELVE_LEADS


@pytest.mark.parametrize(
    ("shape", "leads"),
    [
        ((3, 12, 5000), TWELVE_LEADS),
        ((2, 8, 5000), TWELVE_LEADS),
        ((2, 12), TWELVE_LEADS),
        ((2, 12, 5000), TWELVE_LEADS[::-1]),
    ],
)
def test_other_shapes_and_leads_are_rejected(shape, leads, tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, rec=["a", "b"], shape=(2, 12, 5000), leads=TWELVE_LEADS)
    assert packed_twelve_leads(path, ("rec",), (), "it")["rec"].tolist() == ["a", "b"]
    np.savez(path, rec=["a", "b"], shape=shape, leads=leads)
    with pytest.raises(UnreadableError, match=r"a\.npz has shape .*\(2, 12, samples\)"):
        packed_twelve_leads(path, ("rec",), (), "it")

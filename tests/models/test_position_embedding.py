"""Position tables are resized as PyTorch does."""

import numpy as np
import pytest

from physio_mae_jax.models.position_embedding import resize_columns
from tests.paths import TORCH_FILES


@pytest.mark.parametrize("num_columns", [7, 10, 16, 25])
def test_positions_are_stretched_as_pytorch_does(num_columns):
    with np.load(TORCH_FILES / "positions.npz") as file:
        table = file["table"].reshape(3, 10, 4).swapaxes(0, 1)
        wanted = file[f"to_{num_columns}"].reshape(3, num_columns, 4).swapaxes(0, 1)
    np.testing.assert_allclose(resize_columns(table, num_columns), wanted, atol=1e-5)

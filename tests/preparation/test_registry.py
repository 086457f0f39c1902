"""Unknown names of data sets suggest similar ones."""

import pytest

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.preparation.executors import process_executor
from physio_mae_jax.preparation.registry import LAYOUTS, get_layout


def test_unknown_names_suggest_similar_ones():
    with pytest.raises(ConfigError, match=r"Did you mean 'ptbxl'\?"):
        get_layout("ptbx")
    with pytest.raises(ConfigError, match=r"available: ptbxl/100hz, ptbxl/500hz"):
        get_layout("ptbxl/250hz")
    with pytest.raises(ConfigError, match="--workers must be from 1 to"):
        process_executor(0)
    assert {"ptbxl", "mitbih"} <= set(LAYOUTS)

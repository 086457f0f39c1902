"""Arguments of models of strangers: their types and their sizes."""

import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.interop.torch.convert import import_state_dict
from tests.factories import small_state_dict


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embed_dim": "768"}, "embed_dim must be a whole number from 1"),
        ({"depth": True}, "depth must be .* got True"),
        ({"depth": 1.5}, r"depth must be .* got 1\.5"),
        ({"num_heads": None}, "num_heads must be .* got None"),
        ({"signal_len": float("nan")}, "signal_len must be .* got nan"),
        ({"depth": 10**30}, "depth must be a whole number from 1 to 1,000"),
        ({"signal_len": 1 << 27, "cwt_scales": 4096}, "more than can be computed"),
        ({"sampling_rate_hz": float("inf")}, "sampling_rate_hz must be .* got inf"),
        ({"sampling_rate_hz": [100]}, r"sampling_rate_hz must be .* got \[100\]"),
        ({"use_diff": "no"}, "use_diff must be true or false; got 'no'"),
        ({"version": ["v1"]}, r"version must be .* got \['v1'\]"),
    ],
)
def test_arguments_of_another_type_or_size_are_named(changes, message):
    state, config = small_state_dict()
    with pytest.raises(ConfigError, match=message):
        import_state_dict(state, config | changes)


def test_sizes_of_programs_are_arguments_too():
    state, config = small_state_dict()
    sizes = {name: np.int64(config[name]) for name in ("embed_dim", "depth", "signal_len")}
    import_state_dict(state, config | sizes | {"num_heads": 2.0, "mask_ratio": "any"})


def test_large_sizes_for_small_weights_do_not_fill_the_memory():
    state, config = small_state_dict()
    with pytest.raises(DataError, match="does not fit the CWT-MAE of this config"):
        import_state_dict(state, config | {"embed_dim": 1 << 16, "depth": 1000})

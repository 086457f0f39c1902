"""A state dict that does not fit is told, and every kind that fits finds its model."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference.positions import resize_columns
from physio_mae_jax.inference.torch_import import import_state_dict

FILES = Path(__file__).parent / "data" / "torch"


@pytest.fixture
def small():
    """A state dict of random numbers with the shapes of a small v3, and its config."""
    config = {
        "signal_len": 60, "cwt_scales": 4, "patch_size_time": 20, "patch_size_freq": 2,
        "embed_dim": 8, "depth": 1, "num_heads": 2, "decoder_embed_dim": 4, "decoder_depth": 1,
        "decoder_num_heads": 1, "use_diff": False,
    }  # fmt: skip
    shapes = {
        "pos_embed": (1, 6, 8), "mask_token": (1, 1, 4), "decoder_pos_embed": (1, 6, 4),
        "channel_loss_weights": (1, 1, 1, 1), "rope_encoder.inv_freq": (2,),
        "rope_decoder.inv_freq": (2,), "patch_embed.proj.weight": (8, 1, 2, 20),
        "patch_embed.proj.bias": (8,), "raw_patch_embed.proj.weight": (8, 1, 20),
        "raw_patch_embed.proj.bias": (8,), "decoder_embed.weight": (4, 8),
        "decoder_embed.bias": (4,), "decoder_pred_spec.weight": (40, 4),
        "decoder_pred_spec.bias": (40,), "time_reducer.0.weight": (4, 4, 2, 1),
        "time_reducer.0.bias": (4,), "time_pred.weight": (20, 4), "time_pred.bias": (20,),
        "blocks.0.temporal_smooth.weight": (8, 1, 3), "blocks.0.temporal_smooth.bias": (8,),
    }  # fmt: skip
    norms = {
        "patch_embed.norm": 8, "raw_patch_embed.norm": 8, "norm": 8, "decoder_norm": 4,
        "time_reducer.2": 4, "blocks.0.norm_time": 8, "blocks.0.norm_channel": 8,
        "blocks.0.norm_mlp": 8, "decoder_blocks.0.norm1": 4, "decoder_blocks.0.norm2": 4,
    }  # fmt: skip
    for name, width in norms.items():
        shapes |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    for block, attentions, width in (
        ("blocks.0", ("time_attn", "channel_attn"), 8),
        ("decoder_blocks.0", ("attn",), 4),
    ):
        for name in attentions:
            shapes[f"{block}.{name}.qkv.weight"] = (3 * width, width)
            shapes[f"{block}.{name}.proj.weight"] = (width, width)
            shapes[f"{block}.{name}.proj.bias"] = (width,)
        shapes |= {f"{block}.mlp.0.weight": (4 * width, width), f"{block}.mlp.0.bias": (4 * width,)}
        shapes |= {f"{block}.mlp.3.weight": (width, 4 * width), f"{block}.mlp.3.bias": (width,)}
    rng = np.random.default_rng(0)
    return {k: rng.normal(size=s).astype(np.float32) for k, s in shapes.items()}, config


def test_parameters_have_the_shapes_the_model_asks_for(small):
    model, params = import_state_dict(*small)
    signal = jnp.zeros((1, 2, 60))
    present, ids = jnp.ones((1, 2), bool), jnp.zeros((1, 2), jnp.int32)
    visible, hidden = jnp.array([[1]]), jnp.array([[0, 2]])
    wanted = jax.eval_shape(
        lambda: model.init(jax.random.key(0), signal, present, ids, visible, hidden)
    )["params"]
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, wanted)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "encoder.", "module._orig_mod."])
def test_prefixes_of_wrappers_change_nothing(small, prefix):
    state, config = small
    _, plain = import_state_dict(state, config)
    _, wrapped = import_state_dict({prefix + k: v for k, v in state.items()}, config)
    jax.tree.map(np.testing.assert_array_equal, plain, wrapped)


def test_all_that_does_not_fit_is_listed_at_once(small):
    state, config = small
    del state["norm.bias"]
    state["gate"] = np.zeros(1)
    state["time_pred.weight"] = state["time_pred.weight"].T
    with pytest.raises(DataError) as caught:
        import_state_dict(state, config)
    assert "1 missing: norm.bias" in str(caught.value)
    assert "no place for: gate" in str(caught.value)
    assert "time_pred.weight is (4, 20), not (20, 4)" in str(caught.value)


def test_another_number_of_heads_is_noticed(small):
    state, config = small
    with pytest.raises(DataError, match=r"rope_encoder\.inv_freq is \(2,\), not \(4,\)"):
        import_state_dict(state, config | {"num_heads": 1})


@pytest.mark.parametrize("num_columns", [7, 10, 16, 25])
def test_positions_are_stretched_as_pytorch_does(num_columns):
    with np.load(FILES / "positions.npz") as file:
        table = file["table"].reshape(3, 10, 4).swapaxes(0, 1)
        wanted = file[f"to_{num_columns}"].reshape(3, num_columns, 4).swapaxes(0, 1)
    np.testing.assert_allclose(resize_columns(table, num_columns), wanted, atol=1e-5)


def test_weights_of_another_window_length_are_imported_with_stretched_positions(small):
    state, config = small
    _, short = import_state_dict(state, config)
    model, long = import_state_dict(state, config | {"signal_len": 100})
    assert model.config.num_columns == 5
    np.testing.assert_allclose(
        long["encoder"]["tokenizer"]["position"],
        resize_columns(short["encoder"]["tokenizer"]["position"], 5),
    )
    assert long["decoder"]["position"].shape == (5, 2, 4)


@pytest.mark.parametrize(("found", "wanted"), [(7, 6), (1, 2), (0, 2)])
def test_a_table_of_no_whole_number_of_columns_is_refused(small, found, wanted):
    state, config = small
    state["pos_embed"] = np.zeros((1, found, 8), np.float32)
    message = rf"pos_embed is \(1, {found}, 8\), not \(1, {wanted}, 8\)"
    with pytest.raises(DataError, match=message):
        import_state_dict(state, config)


def test_a_config_that_lacks_a_size_is_told(small):
    state, config = small
    del config["cwt_scales"]
    with pytest.raises(ConfigError, match="lacks cwt_scales"):
        import_state_dict(state, config)

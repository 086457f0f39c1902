"""A state dict that does not fit is reported, and every kind that fits finds its model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.interop.torch.convert import import_state_dict
from physio_mae_jax.models.position_embedding import resize_columns
from physio_mae_jax.models.window_batch import Windows
from tests.factories import compiled_apply, small_state_dict
from tests.state_dicts import classifier_state


@pytest.fixture
def small():
    """A state dict of random numbers with the shapes of a small v3, and its config."""
    return small_state_dict()


def test_parameters_have_the_shapes_the_model_asks_for(small):
    model, params = import_state_dict(*small)
    visible, hidden = jnp.array([[1]]), jnp.array([[0, 2]])
    wanted = jax.eval_shape(
        lambda: model.init(jax.random.key(0), Windows.blank(1, 2, 60), visible, hidden)
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
    assert "does not have: gate" in str(caught.value)
    assert "time_pred.weight is (4, 20), not (20, 4)" in str(caught.value)


def test_another_number_of_heads_is_noticed(small):
    state, config = small
    with pytest.raises(DataError, match=r"rope_encoder\.inv_freq is \(2,\), not \(4,\)"):
        import_state_dict(state, config | {"num_heads": 1})


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
def test_a_table_of_no_whole_number_of_columns_is_rejected(small, found, wanted):
    state, config = small
    state["pos_embed"] = np.zeros((1, found, 8), np.float32)
    message = rf"pos_embed is \(1, {found}, 8\), not \(1, {wanted}, 8\)"
    with pytest.raises(DataError, match=message):
        import_state_dict(state, config)


def test_a_config_that_lacks_a_size_is_reported(small):
    state, config = small
    del config["cwt_scales"]
    with pytest.raises(ConfigError, match="lacks cwt_scales"):
        import_state_dict(state, config)


def joint_state(small, stem=False):
    """Turn the shapes of a small v3 into those of a v1, with a low-rank MLP of rank 32."""
    state, config = small
    rng = np.random.default_rng(1)
    state = {
        name: values
        for name, values in state.items()
        if not name.startswith(("blocks.", "raw_patch", "time_reducer.2", "channel_loss"))
    }
    shapes = {
        "cls_token": (1, 1, 8), "pos_embed": (1, 7, 8), "decoder_pos_embed": (1, 7, 4),
        "patch_embed.proj.weight": (8, 3, 2, 20), "decoder_pred_spec.weight": (120, 4),
        "decoder_pred_spec.bias": (120,), "blocks.0.attn.qkv.weight": (24, 8),
        "blocks.0.attn.proj.weight": (8, 8), "blocks.0.attn.proj.bias": (8,),
        "blocks.0.mlp.0.v.weight": (32, 8), "blocks.0.mlp.0.u.weight": (32, 32),
        "blocks.0.mlp.0.u.bias": (32,), "blocks.0.mlp.3.v.weight": (32, 32),
        "blocks.0.mlp.3.u.weight": (8, 32), "blocks.0.mlp.3.u.bias": (8,),
    }  # fmt: skip
    for name in ("blocks.0.norm1", "blocks.0.norm2"):
        shapes |= {f"{name}.weight": (8,), f"{name}.bias": (8,)}
    if stem:
        del state["patch_embed.proj.bias"], shapes["patch_embed.proj.weight"]
        shapes |= {
            "patch_embed.proj.0.weight": (2, 3, 3, 3), "patch_embed.proj.3.weight": (4, 2, 3, 3),
            "patch_embed.proj.6.weight": (8, 4, 2, 20), "patch_embed.proj.6.bias": (8,),
        }  # fmt: skip
        state.pop("patch_embed.proj.weight")
        for name, width in (("patch_embed.proj.1", 2), ("patch_embed.proj.4", 4)):
            shapes |= {f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean")}
            state[f"{name}.running_var"] = rng.uniform(0.5, 2, width).astype(np.float32)
            state[f"{name}.num_batches_tracked"] = np.array(7)
    state |= {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return state, config


def test_a_stem_with_its_batch_normalization_is_folded_exactly(small):
    state, config = joint_state(small, stem=True)
    _, params = import_state_dict(state, config)
    stem = params["encoder"]["tokenizer"]["stem"]["convolution_0"]
    maps = np.random.default_rng(0).normal(size=(3, 3, 3)).astype(np.float32)  # [C, 3, 3]
    plain = np.einsum("oikl,ikl->o", state["patch_embed.proj.0.weight"], maps)
    norm = {
        part: state[f"patch_embed.proj.1.{part}"]
        for part in ("weight", "bias", "running_mean", "running_var")
    }
    wanted = (plain - norm["running_mean"]) / np.sqrt(norm["running_var"] + 1e-5)
    wanted = wanted * norm["weight"] + norm["bias"]
    folded = np.einsum("klio,ikl->o", stem["kernel"], maps) + stem["bias"]
    np.testing.assert_allclose(folded, wanted, rtol=1e-4, atol=1e-5)


def test_the_version_says_where_the_class_token_stands(small):
    state, config = joint_state(small)
    for version, position in ((None, "one_channel"), ("v1", "never"), ("v2", "always")):
        model, _ = import_state_dict(state, config | {"version": version})
        assert model.config.decoder_class_position == position
    with pytest.raises(ConfigError, match="version='v3'"):
        import_state_dict(state, config | {"version": "v3"})


def numpy_attention(queries, tokens, state, name, num_heads):
    """PyTorch's nn.MultiheadAttention, step by step."""
    weight = state[f"head.{name}.in_proj_weight"], state[f"head.{name}.in_proj_bias"]
    query, key, value = (
        source @ w.T + b
        for source, w, b in zip(
            (queries, tokens, tokens), np.split(weight[0], 3), np.split(weight[1], 3), strict=True
        )
    )
    size = query.shape[-1] // num_heads
    heads = []
    for i in range(num_heads):
        part = slice(i * size, (i + 1) * size)
        logits = query[:, part] @ key[:, part].T / np.sqrt(size)
        share = np.exp(logits - logits.max(axis=1, keepdims=True))
        heads.append(share / share.sum(axis=1, keepdims=True) @ value[:, part])
    out = np.concatenate(heads, axis=1)
    return out @ state[f"head.{name}.out_proj.weight"].T + state[f"head.{name}.out_proj.bias"]


def test_the_reasoning_head_computes_what_its_weights_say(small):
    """The heads of the original, from the tokens of our own encoder on, in NumPy."""
    state, config = classifier_state(small, "reasoning")
    model, params = import_state_dict(state, config)
    assert model.head_config.num_queries == 5
    signal = jax.random.normal(jax.random.key(0), (1, 2, 60))
    windows = Windows.blank(1, 2, 60)._replace(signal=signal)
    tokens = jax.jit(lambda p: model.bind({"params": p}).encoder.grid(windows))(params)
    tokens = np.asarray(tokens, np.float64).reshape(-1, 8)

    def norm(values, name):
        centered = values - values.mean(axis=1, keepdims=True)
        scaled = centered / np.sqrt(values.var(axis=1, keepdims=True) + 1e-5)
        return scaled * state[f"head.{name}.weight"] + state[f"head.{name}.bias"]

    queries = state["head.reasoning_tokens"][0].astype(np.float64)
    queries = norm(queries + numpy_attention(queries, tokens, state, "cross_attn", 2), "norm1")
    queries = norm(queries + numpy_attention(queries, queries, state, "self_attn", 2), "norm2")
    hidden = queries @ state["head.ffn.0.weight"].T + state["head.ffn.0.bias"]
    hidden = np.asarray(jax.nn.gelu(hidden, approximate=False))
    queries = norm(
        queries + hidden @ state["head.ffn.3.weight"].T + state["head.ffn.3.bias"], "norm3"
    )
    wanted = (
        queries.mean(axis=0) @ state["head.classifier.weight"].T + state["head.classifier.bias"]
    )
    ours = compiled_apply(model, {"params": params}, windows)[0]
    np.testing.assert_allclose(ours, wanted, rtol=2e-3, atol=2e-3)


def test_the_head_of_v2_and_an_encoder_alone_are_imported(small):
    state, config = classifier_state(small, "residual_mlp")
    model, params = import_state_dict(state, config)
    windows = Windows.blank(1, 2, 60)
    assert (model.head_config.hidden_width, model.head_config.num_blocks) == (6, 1)
    assert compiled_apply(model, {"params": params}, windows).shape == (1, 3)
    alone = {name: values for name, values in state.items() if not name.startswith("head.")}
    model, params = import_state_dict(alone, config)
    assert compiled_apply(model, {"params": params}, windows, method="features").shape == (1, 8)

"""Imported v3 weights give what the original gives, and a state dict that does not fit is told."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference.positions import resize_columns
from physio_mae_jax.inference.torch_import import import_state_dict
from physio_mae_jax.objectives.losses import scalogram_error, waveform_error
from physio_mae_jax.objectives.masking import mask_from_noise
from physio_mae_jax.objectives.pretraining import ObjectiveConfig, forward, loss_pixel_weights
from physio_mae_jax.signals import patches, wavelet

FILES = Path(__file__).parent / "data" / "torch"
TOLERANCE = 1e-4


def relative_error(ours, reference):
    return np.linalg.norm(np.asarray(ours) - reference) / np.linalg.norm(reference)


class Case:
    """A reference case with its imported model."""

    def __init__(self, path):
        self.arrays = np.load(path)
        self.config = json.loads(str(self.arrays["config"]))
        state = {k[2:]: self.arrays[k] for k in self.arrays.files if k.startswith("p/")}
        self.model, self.params = import_state_dict(state, self.config)
        self.signal = jnp.asarray(self.arrays["x"])
        batch, channels, _ = self.signal.shape
        self.batch = {
            "signal": self.signal,
            "channel_mask": jnp.ones((batch, channels), bool),
            "channel_ids": jnp.zeros((batch, channels), jnp.int32),
        }
        self.mask = mask_from_noise(jnp.asarray(self.arrays["noise"]), self.config["mask_ratio"])

    def apply(self, *arguments, **options):
        return self.model.apply(
            {"params": self.params}, *self.batch.values(), *arguments, **options
        )


@pytest.fixture(scope="module", params=["v3_m1", "v3_m3_onerow"])
def case(request, shared):
    return Case(shared / "golden" / f"{request.param}.npz")


def test_scalogram_is_the_originals(case):
    cfg = case.model.config
    ours = wavelet.scalogram(case.signal, cfg.wavelet, cfg.sampling_rate_hz)
    assert relative_error(ours, case.arrays["scalogram"]) < TOLERANCE


def in_original_order(tokens):
    """Order [B, M, K, H, D] as the original does: channel, then row, then column."""
    batch, _, _, _, width = tokens.shape
    return tokens.swapaxes(2, 3).reshape(batch, -1, width)


def test_latents_of_whole_windows_are_the_originals(case):
    latents = case.apply(method="encode")
    assert relative_error(in_original_order(latents), case.arrays["latent_unmasked"]) < TOLERANCE


def test_latents_of_visible_columns_are_the_originals(case):
    latents = case.apply(case.mask.visible_ids, method="encode")
    reference = case.arrays["latent_masked"]
    rows = latents.shape[3]
    # The original keeps visible columns by rank of their noise, with the rows of each together.
    if rows > 1:
        rank = jnp.argsort(case.arrays["noise"], axis=1)[:, : latents.shape[2]]
        order = jnp.argsort(jnp.argsort(rank, axis=1), axis=1)
        latents = jnp.take_along_axis(latents, order[:, None, :, None, None], axis=2)
    assert relative_error(latents.reshape(reference.shape), reference) < TOLERANCE


def test_mask_predictions_and_losses_are_the_originals(case):
    if "loss" not in case.arrays.files:
        pytest.skip("no reference: the original un-shuffles more than one channel wrongly (D1)")
    cfg = case.model.config
    rows, columns = cfg.num_rows, cfg.num_columns
    hidden = np.repeat(np.asarray(case.mask.hidden)[:, None], rows, axis=1)
    np.testing.assert_array_equal(hidden.reshape(len(hidden), -1), case.arrays["mask"] == 1)
    every = jnp.broadcast_to(jnp.arange(columns), case.mask.hidden.shape)
    predicted = case.apply(case.mask.visible_ids, case.mask.hidden_ids, every)
    boxes = predicted.patches.swapaxes(2, 3).reshape(case.arrays["pred_spec"].shape)
    assert relative_error(boxes, case.arrays["pred_spec"]) < TOLERANCE
    waveform = predicted.waveform.reshape(case.arrays["pred_time"].shape)
    assert relative_error(waveform, case.arrays["pred_time"]) < TOLERANCE


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
        long["tokenizer"]["position"], resize_columns(short["tokenizer"]["position"], 5)
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


def test_loss_parts_are_the_originals(shared):
    case = Case(shared / "golden" / "v3_m1.npz")
    objective = ObjectiveConfig(
        mask_ratio=case.config["mask_ratio"],
        mask_before_wavelet=False,
        plane_weights=tuple(case.config["diff_loss_weight"]),
        band_floor=1.0,  # one weight for all scales: the original has none (spec.md §7)
        scale_tilt=0.0,
    )
    result = forward(case.model, objective, case.params, case.batch, case.mask)
    weights = jnp.asarray(loss_pixel_weights(case.model.config, objective))
    present = case.batch["channel_mask"]
    scalogram_loss = scalogram_error(
        result.predicted.patches, result.target.patches, weights, present
    ).mean()
    # The original z-scores here the very signal it was given; our windows arrive z-scored.
    signal = np.asarray(case.signal)
    scored = (signal - signal.mean(-1, keepdims=True)) / signal.std(-1, ddof=1, keepdims=True)
    columns = patches.signal_columns(np.clip(scored, -10, 10), case.model.config.patch_samples)
    target = patches.take_columns(columns, case.mask.hidden_ids, axis=2)
    waveform_loss = waveform_error(result.predicted.waveform, target, present).mean()
    for ours, theirs in (
        (scalogram_loss, "loss_spec"),
        (waveform_loss, "loss_time"),
        (scalogram_loss + waveform_loss, "loss"),
    ):
        assert float(ours) == pytest.approx(float(case.arrays[theirs]), rel=TOLERANCE)

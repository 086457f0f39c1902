"""Masks divide the columns, and have an exact number of visible ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.objectives.masking import (
    MaskConfig,
    column_mask,
    num_visible,
    predict_share,
    row_mask,
    time_scale_mask,
    token_mask,
)
from physio_mae_jax.signals import patches
from tests.factories import tiny_model


def test_selected_columns_are_those_of_all_columns() -> None:
    scalogram = jax.random.normal(jax.random.key(0), (2, 2, 1, 8, 100))
    ids = jnp.array([[0, 3], [4, 1]])
    some = patches.patchify_scalogram(scalogram, 4, 20, ids)
    every = patches.patchify_scalogram(scalogram, 4, 20)
    for row in range(2):
        np.testing.assert_array_equal(some[row], every[row][:, ids[row]])


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.75, 0.9])
def test_a_mask_divides_the_columns_in_order_of_time(ratio: float) -> None:
    mask = column_mask(jax.random.uniform(jax.random.key(5), (7, 40)), ratio)
    assert mask.visible_ids.shape == (7, num_visible(40, ratio))
    for visible, hidden, flags in zip(*mask[:3], strict=True):
        assert sorted([*visible.tolist(), *hidden.tolist()]) == list(range(40))
        assert (np.diff(visible) > 0).all()
        assert (np.diff(hidden) > 0).all()
        assert flags[hidden].all()
        assert not flags[visible].any()
    assert len({tuple(ids.tolist()) for ids in mask.visible_ids}) > 1, "examples share one mask"


def test_the_columns_with_least_noise_stay_visible() -> None:
    noise = jnp.array([[0.9, 0.1, 0.5, 0.3, 0.7, 0.2, 0.8, 0.6]])
    assert column_mask(noise, 0.75).visible_ids.tolist() == [[1, 5]]


def test_number_of_visible_columns_is_floored_without_rounding_error() -> None:
    assert [num_visible(100, r) for r in (0.9, 0.75, 0.3)] == [10, 25, 70]
    assert num_visible(50, 0.75) == 12


def test_random_rows_keep_as_many_columns_in_each_row():
    mask = row_mask(jax.random.uniform(jax.random.key(0), (3, 4, 20)), 0.75)
    assert mask.visible_ids.shape == (3, 5, 4)
    assert (np.asarray(mask.visible_ids) % 4 == np.arange(4)).all()
    assert (np.diff(mask.visible_ids, axis=1) > 0).all()
    shown = ~np.asarray(mask.scored)[:, 0].reshape(3, -1)
    for example in range(3):
        assert set(np.flatnonzero(shown[example])) == set(np.ravel(mask.visible_ids[example]))


def test_time_scale_masks_hide_whole_columns_and_rows():
    keys = jax.random.split(jax.random.key(0))
    config = MaskConfig(kind="time_scale", mask_ratio=0.75, row_mask_ratio=0.5)
    noise, rows = jax.random.uniform(keys[0], (2, 20)), jax.random.uniform(keys[1], (2, 4))
    mask = time_scale_mask(noise, rows, config)
    assert mask.visible_ids.shape == (2, 5, 2)
    shown = ~np.asarray(mask.scored)[:, 0]
    assert (shown.sum(axis=2).max(axis=1) == 2).all()
    assert (shown.any(axis=2).sum(axis=1) == 5).all()


def test_random_tokens_cover_every_channel_row_by_row():
    cfg = tiny_model().config
    mask = token_mask(jax.random.uniform(jax.random.key(0), (2, 3 * 80)), 0.75, cfg)
    shown = ~np.asarray(mask.scored)  # [B, M, W, H]
    flat = shown.swapaxes(2, 3).reshape(2, -1)
    for example in range(2):
        np.testing.assert_array_equal(np.flatnonzero(flat[example]), mask.visible_ids[example])


JOINT = {
    "encoder_attention": "joint",
    "decoder_attention": "joint",
    "class_token": True,
    "waveform_branch": False,
    "waveform_head_norm": False,
}


@pytest.mark.parametrize(
    ("mask", "changes", "message"),
    [
        ({"kind": "random"}, {}, "must be tube, random_rows, time_scale"),
        ({"kind": "tube"}, JOINT, "must be random with"),
        ({"kind": "random_rows"}, {}, r"set model\.waveform_branch to False"),
        ({"channel_mask_ratio": 0.5}, {}, "decoder_channel_embedding=True"),
    ],
)
def test_masks_that_do_not_fit_the_model_are_rejected(mask, changes, message):
    with pytest.raises(ConfigError, match=message):
        MaskConfig(**mask).check_against(tiny_model(**changes).config)


def test_a_share_of_the_masked_columns_is_predicted() -> None:
    mask = column_mask(jax.random.uniform(jax.random.key(0), (3, 20)), 0.75)
    half = predict_share(jax.random.key(1), mask, 0.5)
    assert half.predicted_ids.shape == (3, 7)
    for row in range(3):
        chosen, masked = half.predicted_ids[row].tolist(), mask.predicted_ids[row].tolist()
        assert chosen == sorted(set(chosen))
        assert set(chosen) < set(masked)
    assert predict_share(jax.random.key(1), mask, 1.0) is mask
    assert predict_share(jax.random.key(1), mask, 1e-3).predicted_ids.shape == (3, 1)
    np.testing.assert_array_equal(half.masked_columns, mask.masked_columns)

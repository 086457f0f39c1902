"""Imported weights of every version, wrapper and head give what the original gives.

Reference vectors of the original PyTorch code lie in ../shared/golden; their README says what each
array is.
"""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.interop.torch.convert import import_state_dict
from physio_mae_jax.models.contrastive import ContrastiveAutoencoder
from physio_mae_jax.models.heads.classifier import Classifier
from physio_mae_jax.models.window_batch import Windows
from physio_mae_jax.objectives.contrastive import (
    ContrastiveConfig,
    contrastive_pretraining_loss,
    split_modalities,
)
from physio_mae_jax.objectives.masking import MaskConfig, column_mask, token_mask
from physio_mae_jax.objectives.pretraining import ObjectiveConfig, pretraining_loss
from physio_mae_jax.signals import wavelet
from tests.factories import compiled_apply

TOLERANCE = 1e-4
JOINT = ("v1", "v2")


def relative_error(ours, reference):
    ours = np.asarray(ours)
    assert ours.shape == reference.shape
    return np.linalg.norm(ours - reference) / np.linalg.norm(reference)


class Case:
    """A reference case with its imported model."""

    def __init__(self, folder, name):
        self.name = name
        self.arrays = np.load(folder / "golden" / f"{name}.npz")
        self.config = json.loads(str(self.arrays["config"]))
        state = {k[2:]: self.arrays[k] for k in self.arrays.files if k.startswith("p/")}
        self.model, self.params = import_state_dict(state, self.config)

    def batch(self):
        signal = jnp.asarray(self.arrays["x"])
        batch, channels, _ = signal.shape
        return {
            "signal": signal,
            "channel_mask": jnp.ones((batch, channels), bool),
            "channel_ids": jnp.zeros((batch, channels), jnp.int32),
        }

    def mask(self):
        noise, ratio = jnp.asarray(self.arrays["noise"]), self.config["mask_ratio"]
        if self.name in JOINT:
            return token_mask(noise, ratio, self.model.config)
        return column_mask(noise, ratio)

    def objective(self):
        """What the original's loss is in our terms (models.md#losses)."""
        planes = self.config.get("diff_loss_weight")
        joint = self.name in JOINT
        return ObjectiveConfig(
            mask=MaskConfig(
                kind="random" if joint else "tube", mask_ratio=self.config["mask_ratio"]
            ),
            mask_before_wavelet=False,
            waveform_columns="all" if joint else "masked",
            plane_weights=(1 / 3,) * 3 if joint else tuple(planes or (1.0,) * 3),
            band_floor=1.0,
            scale_tilt=0.0,
        )

    def apply(self, *arguments, **options):
        return compiled_apply(self.model, {"params": self.params}, *arguments, **options)


@pytest.fixture(scope="module", params=["v1", "v2", "v3_m1", "v3_m3_onerow"])
def case(request, shared):
    return Case(shared, request.param)


def test_scalogram_is_the_originals(case):
    cfg = case.model.config
    transform = jax.jit(lambda x: wavelet.scalogram(x, cfg.wavelet, cfg.sampling_rate_hz))
    ours = transform(case.batch()["signal"])
    reference = case.arrays["scalogram"]
    assert relative_error(ours.reshape(reference.shape), reference) < TOLERANCE


def in_original_order(tokens):
    """Order [B, M, K, H, D] as the original does: channel, then row, then column."""
    batch, _, _, _, width = tokens.shape
    return tokens.swapaxes(2, 3).reshape(batch, -1, width)


def test_latents_of_whole_windows_are_the_originals(case):
    latents = case.apply(Windows.of(case.batch()), method="encode")
    if case.name not in JOINT:
        latents = in_original_order(latents)
    assert relative_error(latents, case.arrays["latent_unmasked"]) < TOLERANCE


def test_latents_of_visible_columns_are_the_originals(case):
    if "latent_masked" not in case.arrays.files:
        pytest.skip("no reference of this case")
    latents = case.apply(Windows.of(case.batch()), case.mask().visible_ids, method="encode")
    reference = case.arrays["latent_masked"]
    # The original keeps visible columns by rank of their noise, with the rows of each together.
    if latents.shape[3] > 1:
        rank = jnp.argsort(case.arrays["noise"], axis=1)[:, : latents.shape[2]]
        order = jnp.argsort(jnp.argsort(rank, axis=1), axis=1)
        latents = jnp.take_along_axis(latents, order[:, None, :, None, None], axis=2)
    assert relative_error(latents.reshape(reference.shape), reference) < TOLERANCE


def test_predictions_are_the_originals(case):
    if "pred_spec" not in case.arrays.files:
        pytest.skip("no reference: the original un-shuffles more than one channel wrongly")
    mask = case.mask()._replace(predicted_ids=None)
    predicted = case.apply(Windows.of(case.batch()), mask.visible_ids)
    reference = case.arrays["pred_spec"]
    boxes = predicted.patches.swapaxes(2, 3).reshape(reference.shape)
    assert relative_error(boxes, reference) < TOLERANCE
    reference = case.arrays["pred_time"]
    assert relative_error(predicted.waveform.reshape(reference.shape), reference) < TOLERANCE


def test_losses_are_the_originals(case):
    if "loss" not in case.arrays.files:
        pytest.skip("no reference: the original un-shuffles more than one channel wrongly")
    model, objective, mask = case.model, case.objective(), case.mask()
    measure = jax.jit(lambda p, batch: pretraining_loss(model, objective, p, batch, mask)[1])
    parts = measure(case.params, case.batch())
    names = {"loss": "loss", "loss_spec": "scalogram_loss", "loss_time": "waveform_loss"}
    for theirs in set(names) & set(case.arrays.files):
        ours = float(parts[names[theirs]])
        assert ours == pytest.approx(float(case.arrays[theirs]), rel=TOLERANCE)


def test_masked_tokens_are_the_originals(case):
    if "mask" not in case.arrays.files:
        pytest.skip("no reference of this case")
    cfg, mask = case.model.config, case.mask()
    hidden = np.broadcast_to(
        np.asarray(mask.masked_columns)[:, None, None],
        (len(mask.masked_columns), case.arrays["x"].shape[1], cfg.num_rows, cfg.num_columns),
    )
    np.testing.assert_array_equal(hidden.reshape(len(hidden), -1), case.arrays["mask"] == 1)


def test_contrastive_losses_are_the_originals(shared):
    case = Case(shared, "contrastive")
    assert isinstance(case.model, ContrastiveAutoencoder)
    signal = jnp.stack([case.arrays["x_ppg"], case.arrays["x_ecg"]], axis=1)
    windows = len(signal)
    batch = {
        "signal": signal,
        "channel_mask": jnp.ones((windows, 2), bool),
        "channel_ids": jnp.zeros((windows, 2), jnp.int32),
        "subject": jnp.arange(windows),
    }
    # All PPG, then all ECG there; the two examples of a window beside each other here.
    noise = case.arrays["noise"].reshape(2, windows, -1).swapaxes(0, 1).reshape(2 * windows, -1)
    objective = ContrastiveConfig(weight=1.0, view="whole", same_subject_negatives=True)
    mask = column_mask(jnp.asarray(noise), case.config["mask_ratio"])

    @jax.jit
    def measure(params, batch):
        given = (objective, params, split_modalities(batch), mask)
        return contrastive_pretraining_loss(case.model, case.objective(), *given)

    loss, parts = measure(case.params, batch)
    for ours, theirs in (
        (parts["scalogram_loss"], "loss_spec"),
        (parts["waveform_loss"], "loss_time"),
        (parts["contrastive_loss"], "loss_contrastive"),
        (loss, "loss_total"),
    ):
        assert float(ours) == pytest.approx(float(case.arrays[theirs]), rel=TOLERANCE)


@pytest.mark.parametrize("name", ["head_linear", "head_arcface"])
def test_heads_are_the_originals(shared, name):
    case = Case(shared, name)
    assert isinstance(case.model, Classifier)
    windows = Windows.of(case.batch())
    if case.model.head_config.arcface:
        features = case.apply(windows, method="features")
        assert relative_error(features, case.arrays["features"]) < TOLERANCE
    logits = case.apply(windows, labels=jnp.asarray(case.arrays["label"]))
    assert relative_error(logits, case.arrays["logits"]) < TOLERANCE
    if "logits_eval" in case.arrays.files:
        assert relative_error(case.apply(windows), case.arrays["logits_eval"]) < TOLERANCE

"""Specification of a model in its checkpoint, sufficient to build it without a config.

Written by ``commands.pretrain`` into every checkpoint, read wherever a trained model is used.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import jax

from physio_mae_jax.data.input_spec import InputSpec
from physio_mae_jax.data.json_types import check_types
from physio_mae_jax.errors import DataError
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.contrastive import ContrastiveAutoencoder
from physio_mae_jax.models.mae import MaskedAutoencoder
from physio_mae_jax.models.window_batch import Windows
from physio_mae_jax.objectives.contrastive import ContrastiveConfig
from physio_mae_jax.objectives.masking import MaskConfig, draw_mask
from physio_mae_jax.objectives.pretraining import MaskedModel, ObjectiveConfig
from physio_mae_jax.types import JsonObject, Params

# Larger sizes are invalid or malicious: building the model would take hours.
_MAX_SIZES = {"width": 1 << 16, "decoder_width": 1 << 16, "depth": 1000, "decoder_depth": 1000}
_MAX_SCALOGRAM = 1 << 27
# Settings added since format 0.2. They are omitted at their defaults, so that the hash of an older
# model, by which finished features are recognized, stays the same.
_ADDED = {
    "model": (
        *("latent_head", "drop_path_rate", "attention_every", "state_size"),
        "lookahead_seconds",
    ),
    "objective": ("latent_weight", "teacher_decay", "predicted_share"),
    "contrastive": (
        *("readout", "column_steps", "step_width", "lag_seconds"),
        *("pooled_weight", "rotated_negatives", "cross_modal_weight"),
    ),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A pre-trained model and its input.

    Attributes:
        model: Shape and numerics of the model.
        objective: Objective it was trained with.
        contrastive: Contrastive objective; weight 0 if it does not align modalities.
        input: Specification of an input window.
        split: Rule and hash of the split of the training subjects.
    """

    model: MaeConfig
    objective: ObjectiveConfig
    contrastive: ContrastiveConfig
    input: InputSpec
    split: Mapping[str, str]

    @property
    def channel_independent(self) -> bool:
        """True if it was trained on single channels, without attention across channels."""
        return self.contrastive.channels_together == 1 or self.input.num_channels == 1

    def build(self) -> MaskedModel:
        """Build the model, with operations that this machine supports."""
        return build_autoencoder(self.model.for_platform(jax.default_backend()), self.contrastive)

    def new_params(self, key: jax.Array) -> Params:
        """Initialize the parameters."""
        channels = self.contrastive.channels_together
        return init_params(self.build(), self.objective.mask, key, channels)

    def abstract_params(self) -> Params:
        """Return names, shapes and types of its parameters, as ``jax.eval_shape`` returns them."""
        return jax.eval_shape(self.new_params, jax.random.key(0))

    def to_json(self) -> JsonObject:
        """Return the model_spec in JSON-able form."""
        parts = {
            name: _without_added_defaults(getattr(self, name), _ADDED.get(name, ()))
            for name in ("model", "objective", "contrastive")
        }
        return parts | {"input": self.input.to_json(), "split": dict(self.split)}

    @classmethod
    def from_json(cls, content: object, where: str) -> "ModelSpec":
        """Inverse of ``to_json``.

        Args:
            content: Decoded JSON.
            where: Origin of the model_spec, for the error.

        Raises:
            DataError: It is not of a pre-trained model, is of another version of this program, or
                has an invalid value; the message names the value.
        """
        hint = "name a run of configs/pretrain.py, or copy this one again."
        model_spec = check_types(cls, content, f"the model_spec of {where}", hint)
        problem = _contradiction(model_spec)
        if problem:
            raise DataError(f"the model_spec of {where}: {problem}; {hint}")
        return model_spec


def _without_added_defaults(
    settings: MaeConfig | ObjectiveConfig | ContrastiveConfig, added: Sequence[str]
) -> JsonObject:
    defaults = {field.name: field.default for field in dataclasses.fields(settings)}
    return {
        name: value
        for name, value in dataclasses.asdict(settings).items()
        if name not in added or value != defaults[name]
    }


def _contradiction(model_spec: ModelSpec) -> str:
    """Describe an invalid value of a model_spec; '' if all are valid."""
    for name in ("sampling_rate_hz", "num_samples"):
        model, stated = getattr(model_spec.model, name), getattr(model_spec.input, name)
        if model != stated:
            return f"input.{name} is {stated}, but model.{name} is {model}"
    for name, max_size in _MAX_SIZES.items():
        if not 1 <= getattr(model_spec.model, name) <= max_size:
            return f"model.{name} must be 1 to {max_size:,}; got {getattr(model_spec.model, name)}"
    size = model_spec.model.wavelet.num_scales * model_spec.model.num_samples
    if size > _MAX_SCALOGRAM:
        return f"a scalogram must have at most {_MAX_SCALOGRAM:,} values; got {size:,}"
    return ""


def init_params(model: MaskedModel, mask: MaskConfig, key: jax.Array, num_channels: int) -> Params:
    """Initialize a model for single-channel or multi-channel (2 or more) windows."""
    shape, cfg = (1, num_channels), model.config
    mask_sample = draw_mask(jax.random.key(0), 1, num_channels, cfg, mask)
    return model.init(
        key,
        Windows.blank(*shape, cfg.num_samples),
        mask_sample.visible_ids,
        mask_sample.predicted_ids,
    )["params"]


def build_autoencoder(cfg: MaeConfig, contrastive: ContrastiveConfig) -> MaskedModel:
    """Build the model for pre-training with these settings."""
    if not contrastive.weight:
        return MaskedAutoencoder(cfg)
    return ContrastiveAutoencoder(
        cfg,
        contrastive.projection_width,
        contrastive.temperature,
        contrastive.temperature_is_learned,
        contrastive.column_steps if contrastive.is_aligned else 0,
        contrastive.step_width,
    )


def parse_model_config(content: object, where: str) -> MaeConfig:
    """Read the section 'model' of a model_spec; raises as ``ModelSpec.from_json``."""
    return check_types(MaeConfig, content, where, "copy the run again, or name another one.")

"""What a checkpoint says of its model: enough to build it again and to feed it, without a config.

Written by ``experiment.pretraining`` into every checkpoint, read wherever a trained model is used.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax

from physio_mae_jax.data.contract import InputContract
from physio_mae_jax.errors import DataError
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.contrastive import ContrastiveAutoencoder
from physio_mae_jax.models.mae import MaskedAutoencoder
from physio_mae_jax.objectives.contrastive import ContrastiveConfig
from physio_mae_jax.objectives.masking import MaskConfig
from physio_mae_jax.objectives.pretraining import MaskedModel, ObjectiveConfig, Params
from physio_mae_jax.signals.wavelet_bank import WaveletConfig
from physio_mae_jax.training.pretrain_step import init_params


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelContract:
    """A pre-trained model and its input.

    Attributes:
        model: shape and numerics.
        objective: what it was trained to do.
        contrastive: of weight 0 where it does not align modalities.
        input: what a window of it is.
        split: rule and hash of the subjects trained on.
    """

    model: MaeConfig
    objective: ObjectiveConfig
    contrastive: ContrastiveConfig
    input: InputContract
    split: Mapping[str, str]

    @property
    def channels_alone(self) -> bool:
        """True where it saw one channel at a time in training, so that none knows of others."""
        return bool(self.contrastive.weight) or self.input.num_channels == 1

    def build(self) -> MaskedModel:
        """Make the model, by operations that this machine has."""
        return build_model(self.model.for_platform(jax.default_backend()), self.contrastive)

    def new_params(self, key: jax.Array) -> Params:
        """Make the parameters that training begins with."""
        channels = 1 if self.contrastive.weight else 2
        return init_params(self.build(), self.objective.mask, key, channels)

    def abstract_params(self) -> Any:
        """Return names, shapes and types of its parameters, as ``jax.eval_shape`` gives them."""
        return jax.eval_shape(self.new_params, jax.random.key(0))

    def to_json(self) -> dict[str, Any]:
        """Return the contract for a file."""
        parts = {
            name: dataclasses.asdict(getattr(self, name))
            for name in ("model", "objective", "contrastive")
        }
        return parts | {"input": self.input.to_json(), "split": dict(self.split)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], where: str) -> "ModelContract":
        """Invert ``to_json``.

        Raises:
            DataError: it is not of a pre-trained model, or of another version of this program.
        """
        try:
            return cls(
                model=model_of_json(content["model"]),
                objective=_objective(content["objective"]),
                contrastive=ContrastiveConfig(**content["contrastive"]),
                input=InputContract.from_json(content["input"]),
                split=dict(content["split"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"{where} is not the contract of a pre-trained model of this program "
                f"({type(error).__name__}: {error}); name a run of configs/pretrain.py."
            ) from error


def build_model(cfg: MaeConfig, contrastive: ContrastiveConfig) -> MaskedModel:
    """Make the model that these settings train."""
    if not contrastive.weight:
        return MaskedAutoencoder(cfg)
    return ContrastiveAutoencoder(
        cfg,
        contrastive.projection_width,
        contrastive.temperature,
        contrastive.temperature_is_learned,
    )


def model_of_json(content: Mapping[str, Any]) -> MaeConfig:
    """Read the section 'model' of a contract."""
    return MaeConfig(**{**content, "wavelet": WaveletConfig(**content["wavelet"])})


def _objective(content: Mapping[str, Any]) -> ObjectiveConfig:
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
    }
    return ObjectiveConfig(**values | {"mask": MaskConfig(**content["mask"])})

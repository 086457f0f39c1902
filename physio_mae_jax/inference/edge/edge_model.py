"""A model to export, an encoder or a classifier, and its outputs in JAX."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

import jax
import numpy as np

from physio_mae_jax.data.input_spec import InputSpec
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.inference.class_decision import ClassDecision
from physio_mae_jax.inference.compiled_encoder import encode_windows, pool_latents
from physio_mae_jax.inference.edge.contract import LOGITS, EdgeOutput
from physio_mae_jax.inference.encoding_config import Output
from physio_mae_jax.inference.trained_classifier import TrainedClassifier
from physio_mae_jax.inference.trained_model import TrainedModel, fingerprint_of
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.heads.base import HeadConfig
from physio_mae_jax.models.heads.classifier import Classifier
from physio_mae_jax.models.window_batch import Windows
from physio_mae_jax.types import Params

# A function of one window, the arrays of ``contract.fit_channels``, to its output.
Program = Callable[[Params, Mapping[str, jax.Array]], jax.Array]


class EdgeModel(NamedTuple):
    """A model to export.

    Attributes:
        config: Configuration of the encoder.
        params: Parameters, those of the encoder under 'encoder'.
        input_spec: Windows of the model.
        channel_independent: Whether each channel is encoded separately.
        fingerprint: Hash of the model.
        head: Settings of the head; None for an encoder.
        decision: Probabilities and decisions from the logits; None for an encoder.
    """

    config: MaeConfig
    params: Params
    input_spec: InputSpec
    channel_independent: bool
    fingerprint: str
    head: HeadConfig | None = None
    decision: ClassDecision | None = None

    @classmethod
    def of_encoder(cls, trained: TrainedModel) -> "EdgeModel":
        """Take the encoder of a pre-trained model."""
        return cls(
            config=trained.model_spec.model,
            params={"encoder": trained.autoencoder_params["encoder"]},
            input_spec=trained.model_spec.input,
            channel_independent=trained.model_spec.channel_independent,
            fingerprint=fingerprint_of(trained),
        )

    @classmethod
    def of_classifier(cls, trained: TrainedClassifier) -> "EdgeModel":
        """Take a fine-tuned classifier."""
        return cls(
            config=trained.config,
            params=trained.params,
            input_spec=trained.input_spec,
            channel_independent=False,
            fingerprint=trained.fingerprint,
            head=trained.head,
            decision=trained.decision,
        )

    @property
    def outputs(self) -> tuple[EdgeOutput, ...]:
        """Outputs that a graph of the model may have."""
        return ("embedding", "columns") if self.head is None else (LOGITS,)

    def check_output(self, output: object) -> None:
        """Raise a ConfigError for an output that the model does not have."""
        if output in self.outputs:
            return
        hint = ""
        if output == LOGITS:
            hint = (
                " Logits are those of a fine-tuned model: "
                "Classifier.from_checkpoint(run).export_edge(path)."
            )
        choices = ", ".join(self.outputs)
        raise ConfigError(f"output is {output!r}; choose from {choices}.{hint}")

    def program(self, output: EdgeOutput) -> Program:
        """Return the model as a function of parameters and one window.

        It computes in float32, since rounding to bfloat16 would hide smaller errors.
        """
        config = dataclasses.replace(
            self.config.for_inference(), compute_dtype="float32", attention_implementation="xla"
        )
        if self.head is not None:
            classifier = Classifier(config, self.head)
            return lambda params, one: cast(
                jax.Array, classifier.apply({"params": params}, Windows.of(one))
            )
        pooling: Output = "pooled" if output == "embedding" else "columns"

        def encode(params: Params, one: Mapping[str, jax.Array]) -> jax.Array:
            latents = encode_windows(
                config, params["encoder"], one, channel_independent=self.channel_independent
            )
            return pool_latents(latents, one["channel_mask"], one["column_weight"], pooling)

        return encode

    def reference(self, output: EdgeOutput) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
        """Return the compiled function from windows [B, …] to outputs [B, …], one at a time."""
        compiled = jax.jit(self.program(output))
        run = functools.partial(compiled, jax.device_put(self.params))

        def outputs(windows: Mapping[str, np.ndarray]) -> np.ndarray:
            found = []
            for row in range(len(windows["signal"])):
                one = {name: values[row : row + 1] for name, values in windows.items()}
                one["channel_ids"] = one["channel_ids"].astype(np.int32)
                found.append(np.asarray(run(one)))
            return np.concatenate(found)

        return outputs

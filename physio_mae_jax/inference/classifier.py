"""The classifier of a fine-tuned model, for new signals."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack, cast

import jax
import numpy as np

from physio_mae_jax.data.source import SignalSource
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.inference.arguments import sequence_of
from physio_mae_jax.inference.class_decision import ClassDecision
from physio_mae_jax.inference.compiled_encoder import (
    Batch,
    CompiledEncoder,
    MeshArguments,
    mesh_for,
)
from physio_mae_jax.inference.encoder_stream import window_encoder
from physio_mae_jax.inference.encoding_config import EncodingConfig, Output
from physio_mae_jax.inference.encoding_report import EncodingReport, report_of
from physio_mae_jax.inference.notes import Note
from physio_mae_jax.inference.overlap_averager import average_windows
from physio_mae_jax.inference.recording_classifier import RecordingClassifier
from physio_mae_jax.inference.recording_plan import ModelInput, plan_recordings
from physio_mae_jax.inference.signal_metadata import SignalMetadata
from physio_mae_jax.inference.trained_classifier import TrainedClassifier, load_classifier
from physio_mae_jax.models.heads import classifier as heads
from physio_mae_jax.models.heads.base import HeadConfig
from physio_mae_jax.models.window_batch import Windows
from physio_mae_jax.training.sharding import batch_sharding, replicated, with_mesh
from physio_mae_jax.types import Options, Params

if TYPE_CHECKING:
    from physio_mae_jax.inference.streaming.classifier_stream import ClassifierStream


class Classifier(RecordingClassifier):
    """Classifies signals of any rate, length and subset of the known channels."""

    def __init__(
        self, trained: TrainedClassifier, *, batch_size: int = 32, num_devices: int | None = None
    ) -> None:
        """Put a classifier on the devices of this process.

        Args:
            trained: Fine-tuned model.
            batch_size: Windows classified at a time, over all devices.
            num_devices: Number of devices; None for all.

        Raises:
            ConfigError: The devices do not divide the batch.
        """
        self.trained = trained
        self.batch_size = int(batch_size)
        mesh = mesh_for(batch_size, num_devices)
        self.programs = _CompiledClassifier.of_trained(trained, mesh)

    @classmethod
    def from_checkpoint(cls, path: str | Path, **settings: Unpack[MeshArguments]) -> "Classifier":
        """Load the best model of a fine-tuning run, with the thresholds of its validation.

        Args:
            path: Work folder of the run.
            **settings: Keyword arguments of the constructor.

        Raises:
            UserError: The run is unfinished or damaged, or it is not a classification of windows
                by our encoder.
        """
        return cls(load_classifier(path), **settings)

    @property
    def decision(self) -> ClassDecision:
        """Probabilities and decisions from the logits, as validation chose them."""
        return self.trained.decision

    @functools.cached_property
    def input(self) -> ModelInput:
        """Windows that the model takes, for any channels of a recording."""
        given = self.trained.input_spec
        return ModelInput(
            channels=given.channels,
            window=given.window,
            column_samples=self.trained.config.patch_samples,
        )

    def encode_source(
        self, source: SignalSource, config: EncodingConfig, notes: Sequence[Note] = ()
    ) -> tuple[list[np.ndarray], EncodingReport]:
        """Return the logits of every recording, averaged over its windows, or of its windows."""
        if config.output != "pooled":
            raise ConfigError(f"output is {config.output!r}, but a classifier gives logits alone.")
        plan = plan_recordings(source, self.input, config, notes)
        logits = self.programs.run_plan(plan, config, self.batch_size)
        averaged = average_windows(plan, logits, "pooled", _LogitSize(self.width, 1))
        return [one.embedding for one in averaged], report_of(plan, averaged)

    def stream(self, *, hop_seconds: object = None, **description: Options) -> "ClassifierStream":
        """Open a stream that classifies a signal while it is received.

        Args:
            hop_seconds: Distance between windows, seconds; None for half a window.
            **description: sampling_rate_hz, channels, units, gain, as in ``predict``.
        """
        from physio_mae_jax.inference.streaming.classifier_stream import ClassifierStream

        return ClassifierStream(
            window_encoder(self.programs, self.batch_size, "pooled"),
            self.input,
            (self.width,),
            self.trained.fingerprint,
            decision=self.decision,
            description=sequence_of(SignalMetadata, description),
            hop_seconds=hop_seconds,
        )

    def export_edge(self, path: str | Path, **settings: Options) -> Path:
        """Write a graph for devices; arguments as for ``edge.export.export_edge``."""
        from physio_mae_jax.inference.edge.edge_model import EdgeModel  # takes onnx
        from physio_mae_jax.inference.edge.export import export_edge

        return export_edge(EdgeModel.of_classifier(self.trained), self.input, path, **settings)


@dataclasses.dataclass(frozen=True)
class _LogitSize:
    """Size of what is averaged, see ``overlap_averager.LatentSize``."""

    width: int
    num_rows: int


@dataclasses.dataclass(frozen=True, eq=False)
class _CompiledClassifier(CompiledEncoder):
    """A classifier on the devices of a mesh; its pooled output are logits."""

    head: HeadConfig = dataclasses.field(default_factory=HeadConfig)

    @classmethod
    def of_trained(cls, trained: TrainedClassifier, mesh: jax.sharding.Mesh) -> CompiledEncoder:
        config = trained.config.for_inference().for_platform(mesh.devices.flat[0].platform)
        params = jax.device_put(trained.params, replicated(mesh))
        return cls(config, params, mesh, channel_independent=False, head=trained.head)

    def _jitted(self, output: Output) -> jax.stages.Wrapped:
        model = heads.Classifier(self.config, self.head)

        def logits(params: Params, batch: Batch) -> jax.Array:
            return cast(jax.Array, model.apply({"params": params}, Windows.of(batch)))

        return jax.jit(
            with_mesh(logits, self.mesh),
            in_shardings=(replicated(self.mesh), batch_sharding(self.mesh)),
            out_shardings=batch_sharding(self.mesh),
            compiler_options=self.config.compiler_options,
        )

"""The encoder of a pre-trained model, for new signals."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np

from physio_mae_jax.data.source import SignalSource
from physio_mae_jax.inference.arguments import sequence_of
from physio_mae_jax.inference.compiled_encoder import CompiledEncoder, MeshArguments, mesh_for
from physio_mae_jax.inference.encoding_config import EncodingConfig
from physio_mae_jax.inference.encoding_report import EncodingReport, report_of
from physio_mae_jax.inference.export import export_encoder
from physio_mae_jax.inference.model_card import Card
from physio_mae_jax.inference.model_description import describe
from physio_mae_jax.inference.model_list import ShippedModels, list_models
from physio_mae_jax.inference.notes import Note
from physio_mae_jax.inference.overlap_averager import average_windows
from physio_mae_jax.inference.pickling import CHECKPOINT, PRETRAINED, Origin, of_plain, to_plain
from physio_mae_jax.inference.precision import FLOAT32
from physio_mae_jax.inference.recording_encoder import RecordingEncoder
from physio_mae_jax.inference.recording_plan import plan_recordings
from physio_mae_jax.inference.saved_model import load_model, save_model
from physio_mae_jax.inference.trained_model import TrainedModel, fingerprint_of, load_checkpoint
from physio_mae_jax.inference.window_inspection import WindowInspection
from physio_mae_jax.types import JsonObject, Options

if TYPE_CHECKING:
    from physio_mae_jax.inference.recurrent.stream import RecurrentStream
    from physio_mae_jax.inference.streaming.stream import Stream


class Encoder(WindowInspection, RecordingEncoder):
    """Encodes signals of any rate, length and subset of the known channels as embeddings.

    An encoder is immutable: threads may share it, and copying returns the same object. Pickle and
    joblib store the path of its folder and the hash of its weights, from which it is loaded again;
    an encoder without a folder is pickled with its weights.
    """

    _origin: Origin | None = None

    def __init__(
        self, trained: TrainedModel, *, batch_size: int = 32, num_devices: int | None = None
    ) -> None:
        """Put the encoder of a model on the devices of this process.

        Args:
            trained: Trained model.
            batch_size: Windows encoded at a time, over all devices.
            num_devices: Number of devices; None for all.

        Raises:
            ConfigError: The devices do not divide the batch.
        """
        mesh = mesh_for(batch_size, num_devices)
        self.trained = trained
        self.batch_size = int(batch_size)
        self._num_devices = num_devices
        self.programs = CompiledEncoder.of(
            trained.model_spec.model,
            trained.autoencoder_params["encoder"],
            mesh,
            channel_independent=trained.model_spec.channel_independent,
        )

    @classmethod
    def from_checkpoint(cls, path: str | Path, **settings: Unpack[MeshArguments]) -> "Encoder":
        """Load the encoder of a pre-training run.

        Args:
            path: Work folder of the run.
            **settings: Keyword arguments of the constructor.

        Raises:
            UserError: There is no complete pre-training checkpoint.
        """
        made = cls(load_checkpoint(path), **settings)
        made._origin = Origin.of(CHECKPOINT, path)
        return made

    @classmethod
    def from_pretrained(
        cls, name: str | Path, *, allow_hub: bool = False, **settings: Unpack[MeshArguments]
    ) -> "Encoder":
        """Load a shipped model, or one of ``save_pretrained``; no code in its files is executed.

        Args:
            name: Name of ``available()``, folder, or 'owner/name' on the Hugging Face hub.
            allow_hub: Download the model from the hub if there is no such folder.
            **settings: Keyword arguments of the constructor.

        Raises:
            UserError: A file is missing, damaged or of another kind.
        """
        made = cls(load_model(name, allow_hub=allow_hub), **settings)
        made._origin = Origin.of(PRETRAINED, name, allow_hub)
        return made

    @staticmethod
    def available() -> ShippedModels:
        """List the models that ship inside the package; printed as a table."""
        return list_models()

    def save_pretrained(self, folder: str | Path, *, dtype: str = FLOAT32, **texts: object) -> Path:
        """Write weights, model_spec and a model card into a folder, for sharing.

        Args:
            folder: Target folder, created if absent.
            dtype: 'float32', or 'float16' for half the size, see ``precision``.
            **texts: Texts of the card, such as license='MIT', see ``model_card.Card``.

        Raises:
            UserError: The folder cannot be written to, or embeddings of float16 weights disagree.
        """
        return save_model(self.trained, folder, sequence_of(Card, texts), dtype=dtype)

    def export(self, path: str | Path, **settings: Options) -> Path:
        """Write a program that runs with JAX alone; arguments as for ``export.export_encoder``."""
        return export_encoder(self.trained, path, **settings)

    def export_edge(self, path: str | Path, **settings: Options) -> Path:
        """Write an ONNX graph for devices; arguments as for ``edge.export.export_edge``."""
        from physio_mae_jax.inference.edge.edge_model import EdgeModel  # takes onnx
        from physio_mae_jax.inference.edge.export import export_edge

        return export_edge(EdgeModel.of_encoder(self.trained), self.input, path, **settings)

    def stream(
        self,
        *,
        output: str = "pooled",
        hop_seconds: object = None,
        mode: str = "window",
        lookahead_seconds: object = None,
        **of: Options,
    ) -> "Stream | RecurrentStream":
        """Open a stream that encodes a signal while it is received, see ``streaming.stream``.

        Args:
            output: 'pooled' or 'columns'.
            hop_seconds: Distance between windows, seconds; None for half a window.
            mode: 'window', a row encodes a window; or 'recurrent', a row encodes a block, with a
                state from all earlier blocks (``recurrent.stream``). The latter needs a model with
                a state space in all layers.
            lookahead_seconds: With 'recurrent', duration of a block; None for that of the model,
                or about 2 s.
            **of: sampling_rate_hz, channels, units, gain, as in ``encode``.
        """
        from physio_mae_jax.inference.encoder_stream import open_stream

        return open_stream(self, mode, output, hop_seconds, lookahead_seconds, of)

    def __copy__(self) -> "Encoder":
        return self

    def __deepcopy__(self, memo: object) -> "Encoder":
        return self

    def __reduce__(self) -> tuple[object, ...]:
        settings = {"batch_size": self.batch_size, "num_devices": self._num_devices}
        if self._origin is None:
            return _of_weights, (to_plain(self.trained), settings)
        return _of_folder, (dataclasses.asdict(self._origin), self.fingerprint, settings)

    @property
    def num_compilations(self) -> int:
        """Number of programs compiled so far, one per batch shape."""
        return len(self.programs.compiled)

    @property
    def width(self) -> int:
        """Size D of an embedding."""
        return self.programs.config.width

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of the weights and model_spec."""
        return fingerprint_of(self.trained)

    def describe(self) -> str:
        """Describe the input, preprocessing and output of the encoder as text."""
        return describe(self.trained, self.programs.config)

    def encode_source(
        self, source: SignalSource, config: EncodingConfig, notes: Sequence[Note] = ()
    ) -> tuple[list[np.ndarray], EncodingReport]:
        """Encode every recording of a source with known gaps, each as ``encode`` does."""
        plan = plan_recordings(source, self.input, config, notes)
        encoded = self.programs.run_plan(plan, config, self.batch_size)
        averaged = average_windows(plan, encoded, config.output, self.programs.config)
        return [one.embedding for one in averaged], report_of(plan, averaged)


def _of_weights(content: JsonObject, settings: MeshArguments) -> Encoder:
    """Construct an encoder from a pickle that holds the weights (no folder)."""
    return Encoder(of_plain(content), **settings)


def _of_folder(origin: JsonObject, fingerprint: str, settings: MeshArguments) -> Encoder:
    """Load an encoder again from the folder path in its pickle, once per process."""
    return _loaded_again(Origin(**origin), fingerprint, **settings)


@functools.lru_cache(maxsize=4)
def _loaded_again(origin: Origin, fingerprint: str, **settings: Unpack[MeshArguments]) -> Encoder:
    made = Encoder(origin.load_again(), **settings)
    if made.fingerprint != fingerprint:
        raise origin.other_weights()
    made._origin = origin
    return made

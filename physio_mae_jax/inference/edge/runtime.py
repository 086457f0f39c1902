"""Encoding and classifying on a device: NumPy, and onnxruntime or LiteRT, instead of JAX.

SciPy is used where it is installed: for sampling rates with a small ratio to that of the model,
which are else interpolated, and for the band-pass of a model that has one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from physio_mae_jax.data.source import SignalSource
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference.arguments import sequence_of, setting
from physio_mae_jax.inference.class_decision import ClassDecision
from physio_mae_jax.inference.edge.contract import LOGITS, Contract, fit_channels, read_edge_model
from physio_mae_jax.inference.edge.session import open_session
from physio_mae_jax.inference.encoding_config import EncodingConfig
from physio_mae_jax.inference.encoding_report import EncodingReport, report_of
from physio_mae_jax.inference.notes import Note
from physio_mae_jax.inference.overlap_averager import average_windows
from physio_mae_jax.inference.recording_classifier import RecordingClassifier
from physio_mae_jax.inference.recording_encoder import RecordingEncoder
from physio_mae_jax.inference.recording_plan import EncodingPlan, ModelInput, plan_recordings
from physio_mae_jax.inference.signal_metadata import SignalMetadata
from physio_mae_jax.inference.streaming.classifier_stream import ClassifierStream
from physio_mae_jax.inference.streaming.stream import Stream
from physio_mae_jax.inference.window_batches import WindowBatch, stack_windows, window_batches
from physio_mae_jax.local_paths import local_path
from physio_mae_jax.setting_kinds import Number
from physio_mae_jax.types import Options

_BATCH = 16  # windows read at a time; they are encoded one by one
_THREADS = Number(low=1, high=256, whole=True, example=1)
_OUTPUTS = {"embedding": "pooled", "columns": "columns", LOGITS: "pooled"}


class _Size(NamedTuple):
    """Size of what is averaged, see ``overlap_averager.LatentSize``."""

    width: int
    num_rows: int


class EdgeEncoder(RecordingEncoder):
    """Encodes recordings and streams by a graph of ``Encoder.export_edge``, as the encoder does.

    Attributes:
        contract: Description of the graph.
    """

    def __init__(self, graph: bytes, contract: Contract, name: str, num_threads: int = 1) -> None:
        """Load a graph; see ``load``."""
        self.contract = contract
        self._session = open_session(graph, contract.runtime, name, num_threads)
        contract.check_graph(self._session.inputs, self._session.output_shape, name)
        self._input = ModelInput(
            channels=contract.input_spec.channels,
            window=contract.input_spec.window,
            column_samples=contract.column_samples,
        )

    @classmethod
    def load(cls, path: str | Path, *, num_threads: int = 1) -> "EdgeEncoder":
        """Load a graph and its contract; of a classifier, an ``EdgeClassifier``.

        Args:
            path: Path of the graph; the contract is beside it.
            num_threads: Threads that encode a window.

        Raises:
            UserError: A file is missing, damaged or of another kind, or the library that computes
                it is not installed.
        """
        threads = int(setting(num_threads, "num_threads", _THREADS))
        source = local_path(path, "path")
        graph, contract = read_edge_model(source)
        kind = EdgeClassifier if contract.decision else EdgeEncoder
        return kind(graph, contract, str(source), threads)

    @property
    def input(self) -> ModelInput:
        """Windows that the model takes, for any channels of a recording."""
        return self._input

    @property
    def width(self) -> int:
        """Size D of an embedding."""
        return self.contract.output_shape[-1]

    @property
    def output(self) -> str:
        """The output of ``EncodingConfig`` that the graph computes."""
        return _OUTPUTS[self.contract.output]

    def encode_source(
        self, source: SignalSource, config: EncodingConfig, notes: Sequence[Note] = ()
    ) -> tuple[list[np.ndarray], EncodingReport]:
        """Encode every recording of a source with known gaps, each as ``Encoder.encode`` does.

        Raises:
            UserError: The graph computes another output, or a recording has too many channels or
                is shorter than a window.
        """
        self._check_output(config.output)
        plan = plan_recordings(source, self._input, config, notes)
        self._check_plan(plan)
        batches = window_batches(
            plan, batch_size=_BATCH, num_devices=1, num_threads=config.num_threads or 1
        )
        size = _Size(self.width, 1)
        averaged = average_windows(plan, self._run_all(batches), config.output, size)
        return [one.embedding for one in averaged], report_of(plan, averaged)

    def stream(self, *, hop_seconds: object = None, **description: Options) -> Stream:
        """Open a stream of the output of the graph; arguments as for ``Encoder.stream``.

        A stream shorter than a window cannot be encoded: its ``flush`` raises a DataError.
        """
        output = description.pop("output", self.output)
        self._check_output(output)
        of = sequence_of(SignalMetadata, description)
        opened = self._opened(of, hop_seconds)
        self._check_channels(len(opened.channels), "the stream")
        return opened

    def _opened(self, description: SignalMetadata, hop_seconds: object) -> Stream:
        return Stream(
            self._encode_window,
            self._input,
            self.contract.output_shape,
            self._fingerprint,
            description=description,
            hop_seconds=hop_seconds,
        )

    @property
    def _fingerprint(self) -> str:
        return f"{self.contract.model} {self.contract.graph_sha256}"

    def _run_all(self, batches: Iterable[WindowBatch]) -> Iterator[tuple[WindowBatch, np.ndarray]]:
        for batch in batches:
            count = len(batch.positions)  # the rest are copies
            windows = {name: values[:count] for name, values in batch.arrays.items()}
            yield batch, self._run(windows)

    def _run(self, windows: Mapping[str, np.ndarray]) -> np.ndarray:
        return self._session.run(fit_channels(windows, self.contract.num_channels))

    def _encode_window(self, window: dict[str, np.ndarray]) -> np.ndarray:
        if "num_valid_columns" in window:
            raise self._too_short("the stream")
        return self._run(stack_windows([window], 1))[0]

    def _check_output(self, output: object) -> None:
        if output == self.output:
            return
        if self.contract.decision:
            raise ConfigError(
                f"output is {output!r}, but the graph computes the logits of classes; leave it out."
            )
        raise ConfigError(
            f"output is {output!r}, but the graph computes {self.output!r}; export it with "
            f"output={'columns' if output == 'columns' else 'embedding'!r}, or give "
            f"output={self.output!r}."
        )

    def _check_plan(self, plan: EncodingPlan) -> None:
        for one in plan.recordings:
            self._check_channels(len(one.channels.channels), one.info.record_id)
            if one.tiling and one.tiling.num_columns < self._input.num_columns:
                raise self._too_short(one.info.record_id)

    def _check_channels(self, count: int, name: str) -> None:
        if count > self.contract.num_channels:
            raise DataError(
                f"{name} has {count} channels that the model knows, but the graph takes at most "
                f"{self.contract.num_channels}; export it with num_channels={count}, or give fewer "
                "channels."
            )

    def _too_short(self, name: str) -> DataError:
        return DataError(
            f"{name} is shorter than a window of {self._input.window.seconds:g} s, which this "
            "graph needs; give more samples, or use Encoder, which masks the rest of a window."
        )


class EdgeClassifier(RecordingClassifier, EdgeEncoder):
    """Classifies recordings and streams by a graph of ``Classifier.export_edge``.

    ``predict`` and the rows of ``stream`` are those of the classifier.
    """

    @classmethod
    def load(cls, path: str | Path, *, num_threads: int = 1) -> "EdgeClassifier":
        """Load a graph of a classifier; see ``EdgeEncoder.load``."""
        made = EdgeEncoder.load(path, num_threads=num_threads)
        if not isinstance(made, EdgeClassifier):
            raise ConfigError(
                f"{path} is the graph of an encoder, which has no classes; load it by EdgeEncoder, "
                "or export a fine-tuned model by Classifier.export_edge."
            )
        return made

    @property
    def decision(self) -> ClassDecision:
        """Probabilities and decisions from the logits."""
        assert self.contract.decision is not None
        return self.contract.decision

    def _opened(self, description: SignalMetadata, hop_seconds: object) -> ClassifierStream:
        return ClassifierStream(
            self._encode_window,
            self._input,
            self.contract.output_shape,
            self._fingerprint,
            decision=self.decision,
            description=description,
            hop_seconds=hop_seconds,
        )

"""Pre-training for the loop: the step, validation errors, and plots."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
from jax.sharding import Mesh

from physio_mae_jax import atomic_files
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.inspected_windows import ReconstructedWindow
from physio_mae_jax.objectives.pretraining import Batch
from physio_mae_jax.plots.curves import draw_learning_curves
from physio_mae_jax.plots.reconstruction import draw_reconstruction
from physio_mae_jax.signals.wavelet_bank import wavelet_bank
from physio_mae_jax.training.evaluation import EvaluationStep, evaluate, first_examples, reconstruct
from physio_mae_jax.training.evaluation_result import EvaluationResult
from physio_mae_jax.training.loop import HostBatch
from physio_mae_jax.training.metrics_file import read_metrics
from physio_mae_jax.training.pretrain_step import (
    MODEL_INPUTS,
    PretrainSpec,
    compile_evaluation_step,
    compile_train_step,
    init_state,
)
from physio_mae_jax.training.sharding import (
    batch_sharding,
    initialize_state,
    replicated,
    shard_batch,
)
from physio_mae_jax.training.state import TrainState
from physio_mae_jax.training.trainable import Step
from physio_mae_jax.types import Params

_DOMAINS = ("waveform", "scalogram")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainTrainable:
    """Pre-training of an autoencoder; a ``trainable.Trainable``.

    Attributes:
        workdir: Absolute path of the folder of the figures.
        spec: Model, objective and optimizer.
        mesh: Device mesh the batch is sharded over.
        validation: Batches of this process to evaluate errors on.
        held_out: False if these are training recordings because none are held out.
        recordings: Recordings of the source, for describing windows.
        channels: Channels of the windows of a recording.
    """

    workdir: Path
    spec: PretrainSpec
    mesh: Mesh
    validation: Sequence[HostBatch]
    held_out: bool
    recordings: Sequence[RecordingInfo]
    channels: Callable[[int], tuple[str, ...]]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Entries of a batch that are copied to the devices."""
        return MODEL_INPUTS

    def init_state(self, key: jax.Array) -> TrainState:
        """Initialize a state."""
        return init_state(self.spec, key)

    def start(self, key: jax.Array, mesh: Mesh) -> TrainState:
        """Initialize a state on the devices of a mesh."""
        return initialize_state(self.init_state, key, mesh)

    def compile_step(self, mesh: Mesh) -> Step:
        """Compile the update."""
        return compile_train_step(self.spec, mesh)

    def format_losses(self, metrics: dict[str, float]) -> str:
        """Format the losses of a step."""
        return (
            f"loss {metrics['loss']:.4f}  scalogram {metrics['scalogram_loss']:.4f}  "
            f"waveform {metrics['waveform_loss']:.4f}"
        )

    def evaluate(self, state: TrainState, step: int) -> EvaluationResult:
        """Evaluate the errors of model and baselines, and draw a reconstructed window."""
        errors = evaluate(self._evaluation_step, state.params, self.validation, self.mesh)
        if step:
            self._draw(state, step)
        name = "held-out" if self.held_out else "trained-on (nothing is held out)"
        lines = [
            f"step {step}  {name} {domain} error on masked columns: "
            f"model {errors[f'{domain}/model']:.4f}, "
            f"mean of the visible {errors[f'{domain}/mean']:.4f}, "
            f"straight line {errors[f'{domain}/line']:.4f}"
            for domain in _DOMAINS
        ]
        return EvaluationResult("validation" if self.held_out else "trained_on", errors, lines)

    def should_stop(self, step: int) -> bool:
        """Return False: pre-training has no early stopping."""
        return False

    def plot_learning_curves(self) -> None:
        """Draw the learning curves from metrics.jsonl."""
        path = self.workdir / "plots" / "learning_curves.png"
        atomic_files.write_figure(path, lambda: draw_learning_curves(read_metrics(self.workdir)))

    @functools.cached_property
    def _evaluation_step(self) -> EvaluationStep:
        return compile_evaluation_step(self.spec, self.mesh)

    @functools.cached_property
    def _reconstruct(self) -> Callable[[Params, Batch], dict[str, jax.Array]]:
        return jax.jit(
            lambda params, batch: reconstruct(self.spec, params, first_examples(batch, 1)),
            in_shardings=(None, batch_sharding(self.mesh)),
            out_shardings=replicated(self.mesh),
        )

    def _draw(self, state: TrainState, step: int) -> None:
        """Draw a window; all processes compute, since each may have a part of the parameters."""
        window = self.validation[0]
        inputs = {name: window[name] for name in MODEL_INPUTS}
        arrays = jax.device_get(self._reconstruct(state.params, shard_batch(inputs, self.mesh)))
        if jax.process_index():
            return
        recording = int(window["recording"][0])
        channels = self.channels(recording)
        arrays = {k: v[0] if k == "masked" else v[0][: len(channels)] for k, v in arrays.items()}
        cfg = self.spec.model.config
        bank = wavelet_bank(cfg.wavelet, cfg.sampling_rate_hz, cfg.num_samples)
        info = self.recordings[recording]
        start_seconds = int(window["start"][0]) / cfg.sampling_rate_hz
        split_note = "held out" if self.held_out else "trained on"
        plot_file = ReconstructedWindow(
            title=f"{info.record_id}, {split_note}, from {start_seconds:.1f} s, after step {step}",
            channels=channels,
            sampling_rate_hz=cfg.sampling_rate_hz,
            frequencies_hz=bank.frequencies_hz,
            **arrays,
        )
        folder = self.workdir / "plots"
        atomic_files.write_figure(
            folder / f"reconstruction_{step:07d}.png", lambda: draw_reconstruction(plot_file)
        )

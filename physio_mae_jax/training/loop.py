"""The one loop: batch -> step -> metrics of the step before -> evaluation -> checkpoint."""

import dataclasses
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grain
import jax
import numpy as np
from jax.sharding import Mesh

from physio_mae_jax.data.contamination import TrainingRecord
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.errors import ConfigError, UserError
from physio_mae_jax.figures.curves import draw_learning_curves
from physio_mae_jax.figures.reconstruction import ReconstructedWindow, draw_reconstruction
from physio_mae_jax.signals.wavelet import wavelet_bank
from physio_mae_jax.training import artifacts
from physio_mae_jax.training.checkpoint import Checkpoints
from physio_mae_jax.training.evaluation import evaluate, first_examples, reconstruct
from physio_mae_jax.training.interrupts import StopRequest
from physio_mae_jax.training.reporter import Reporter
from physio_mae_jax.training.sharding import put_batch, replicated
from physio_mae_jax.training.step import (
    MODEL_INPUTS,
    PretrainTask,
    TrainState,
    compile_evaluation_step,
    compile_train_step,
    init_state,
)

_LOG = logging.getLogger(__name__)

HostBatch = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How long to train and how often to look.

    Attributes:
        num_steps: updates in all.
        log_every_steps, evaluate_every_steps, checkpoint_every_steps: intervals; the last step is
            always logged, evaluated, drawn and saved.
        keep_checkpoints: newest so many stay on disk.
    """

    num_steps: int
    log_every_steps: int
    evaluate_every_steps: int
    checkpoint_every_steps: int
    keep_checkpoints: int = 3

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if getattr(self, field.name) < 1:
                raise ConfigError(
                    f"{field.name} is {getattr(self, field.name)}; it must be at least 1."
                )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainRun:
    """Everything built that a pre-training run is made of.

    Attributes:
        workdir: absolute folder of all that the run writes.
        task: model, objective and optimizer.
        loop: intervals.
        mesh: of devices.
        batch_size: examples a step.
        training: iterator over batches of this process.
        validation: batches of this process to measure errors on.
        held_out: False where those are of recordings trained on, since none are held out.
        recordings: of the source, by which batches name their windows.
        channels: of the windows of a recording.
        contract: JSON-able description kept with each checkpoint.
        trained_on: hashes of the training recordings, kept with each checkpoint.
    """

    workdir: Path
    task: PretrainTask
    loop: LoopConfig
    mesh: Mesh
    batch_size: int
    training: grain.DatasetIterator
    validation: Sequence[HostBatch]
    held_out: bool
    recordings: Sequence[RecordingInfo]
    channels: Callable[[int], tuple[str, ...]]
    contract: dict[str, Any]
    trained_on: TrainingRecord


@dataclasses.dataclass(frozen=True)
class _Dispatched:
    """A step under way on the device, and what is needed should it turn out to be the last."""

    step: int
    metrics: dict[str, jax.Array]
    batch: HostBatch
    iterator_state: Any


def pretrain(run: PretrainRun) -> dict[str, float]:
    """Train from the newest checkpoint in the work folder, or from the start.

    Returns:
        The errors after the last step.

    Raises:
        UserError: a loss is not finite or the run was asked to stop, and a checkpoint has been
            written to go on from; or the disk is full, and the last checkpoint is whole.
    """
    with (
        artifacts.telling_a_full_disk(run.workdir),
        Checkpoints(run.workdir / "checkpoints", run.loop.keep_checkpoints) as checkpoints,
    ):
        state, first_step = _start(run, checkpoints)
        with (
            Reporter(
                run.workdir,
                first_step=first_step,
                num_steps=run.loop.num_steps,
                batch_size=run.batch_size,
                active=jax.process_index() == 0,
            ) as reporter,
            StopRequest() as stop,
        ):
            return _steps(run, checkpoints, reporter, stop, state, first_step)


def _steps(
    run: PretrainRun,
    checkpoints: Checkpoints,
    reporter: Reporter,
    stop: StopRequest,
    state: TrainState,
    first_step: int,
) -> dict[str, float]:
    take_step = compile_train_step(run.task, run.mesh)
    measure = compile_evaluation_step(run.task, run.mesh)
    draw = jax.jit(lambda params, batch: reconstruct(run.task, params, batch))
    errors: dict[str, float] = {}
    if first_step == 0:
        errors = evaluate(measure, state.params, run.validation, run.mesh)
        reporter.evaluation(0, errors, run.held_out)
    before: _Dispatched | None = None
    for step in range(first_step + 1, run.loop.num_steps + 1):
        iterator_state = run.training.get_state()
        batch = next(run.training)
        state, metrics = take_step(state, put_batch(_model_inputs(batch), run.mesh))
        # The device works on this step while the host reads the one before.
        if before is not None:
            _settle(run, checkpoints, reporter, state, before)
        before = _Dispatched(step, metrics, batch, iterator_state)
        last = step == run.loop.num_steps
        evaluating = last or step % run.loop.evaluate_every_steps == 0
        saving = last or step % run.loop.checkpoint_every_steps == 0
        if evaluating or saving or stop.signal_name:
            _settle(run, checkpoints, reporter, state, before)
            before = None
        if evaluating:
            errors = evaluate(measure, state.params, run.validation, run.mesh)
            reporter.evaluation(step, errors, run.held_out)
            _draw(run, draw, state, step)
        if saving or stop.signal_name:
            checkpoints.save(step, state, run.training, run.contract, run.trained_on)
        if stop.signal_name and not last:
            checkpoints.wait()
            raise UserError(
                f"stopped by {stop.signal_name} after step {step}; the checkpoint is written. Run "
                "the same command again to go on from there."
            )
    return errors or evaluate(measure, state.params, run.validation, run.mesh)


def _model_inputs(batch: HostBatch) -> HostBatch:
    return {name: batch[name] for name in MODEL_INPUTS}


def _start(run: PretrainRun, checkpoints: Checkpoints) -> tuple[TrainState, int]:
    """Restore the newest checkpoint or initialise; return the state and the steps done."""
    abstract = jax.eval_shape(lambda: init_state(run.task))
    summary = artifacts.parameter_summary(abstract.params)
    _LOG.info("%s on %d %s device(s)", summary, run.mesh.size, jax.default_backend())
    if jax.process_index() == 0:
        artifacts.write_text(
            run.workdir / "parameters.txt", artifacts.parameter_table(abstract.params)
        )
    step = checkpoints.latest_step
    if step is None:
        init = jax.jit(lambda: init_state(run.task), out_shardings=replicated(run.mesh))
        return init(), 0
    _check_contract(checkpoints, run.contract)
    if step > run.loop.num_steps:
        raise ConfigError(
            f"{checkpoints.directory} holds step {step}, beyond num_steps={run.loop.num_steps}; "
            "raise num_steps or choose another --workdir."
        )
    _LOG.info("resuming from step %d in %s", step, checkpoints.directory)
    return checkpoints.restore(abstract, run.mesh, run.training), step


def _check_contract(checkpoints: Checkpoints, contract: dict[str, Any]) -> None:
    """Refuse to go on with another model or another kind of input than the checkpoint's."""
    # Through JSON, as the saved one went, so that tuples compare equal to lists.
    ours, saved = json.loads(json.dumps(contract)), checkpoints.contract()
    different = [
        f"{section}.{name}: {saved[section].get(name)!r} there, {value!r} here"
        for section, values in ours.items()
        for name, value in values.items()
        if saved.get(section, {}).get(name) != value
    ]
    if different:
        raise ConfigError(
            f"{checkpoints.directory} holds a run of other settings ({'; '.join(different)}); "
            "use those, or another --workdir."
        )


def _settle(
    run: PretrainRun,
    checkpoints: Checkpoints,
    reporter: Reporter,
    state: TrainState,
    done: _Dispatched,
) -> None:
    """Read the metrics of a step: report them, or stop the run where they are not finite."""
    metrics = jax.device_get(done.metrics)
    if metrics.pop("halted"):
        _stop_on_non_finite(run, checkpoints, state, done, metrics)
    reporter.advance(done.step)
    if done.step % run.loop.log_every_steps == 0 or done.step in (1, run.loop.num_steps):
        reporter.training(done.step, {name: float(value) for name, value in metrics.items()})


def _stop_on_non_finite(
    run: PretrainRun,
    checkpoints: Checkpoints,
    state: TrainState,
    done: _Dispatched,
    metrics: dict[str, np.ndarray],
) -> None:
    """Save the state before the bad step, positioned at its batch, and describe that batch."""
    run.training.set_state(done.iterator_state)
    checkpoints.save(
        done.step - 1,
        state.replace(halted=jax.numpy.zeros_like(state.halted)),
        run.training,
        run.contract,
        run.trained_on,
    )
    checkpoints.wait()
    path = run.workdir / f"non_finite_step_{done.step}_process_{jax.process_index()}.json"
    windows = artifacts.describe_batch(
        done.batch, run.recordings, run.task.model.config.sampling_rate_hz
    )
    numbers = {name: str(value) for name, value in metrics.items()}
    artifacts.write_json(path, {"step": done.step, "metrics": numbers, "windows": windows})
    raise UserError(
        f"step {done.step} gave a loss or gradient that is not finite ({numbers}). The state "
        f"before it is saved as step {done.step - 1}; its windows are described in {path}. Look "
        "at them, or lower optimizer.peak_learning_rate, then run the same command again."
    )


def _draw(run: PretrainRun, draw: Any, state: TrainState, step: int) -> None:
    """Write the pictures of this step and the learning curves so far."""
    if jax.process_index() != 0:
        return
    window = first_examples(run.validation[0], 1)
    params = jax.tree.map(lambda leaf: leaf.addressable_data(0), state.params)
    channels = run.channels(int(window["recording"][0]))
    arrays = {k: np.asarray(v)[0] for k, v in draw(params, _model_inputs(window)).items()}
    arrays = {k: v if k == "hidden" else v[: len(channels)] for k, v in arrays.items()}
    cfg = run.task.model.config
    bank = wavelet_bank(cfg.wavelet, cfg.sampling_rate_hz, cfg.num_samples)
    info = run.recordings[int(window["recording"][0])]
    start_seconds = int(window["start"][0]) / cfg.sampling_rate_hz
    known = "held out" if run.held_out else "trained on"
    picture = ReconstructedWindow(
        title=f"{info.record_id}, {known}, from {start_seconds:.1f} s, after step {step}",
        channels=channels,
        sampling_rate_hz=cfg.sampling_rate_hz,
        frequencies_hz=bank.frequencies_hz,
        **arrays,
    )
    folder = run.workdir / "figures"
    artifacts.write_figure(folder / f"reconstruction_{step:07d}.png", draw_reconstruction(picture))
    lines = (run.workdir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    artifacts.write_figure(folder / "learning_curves.png", draw_learning_curves(records))

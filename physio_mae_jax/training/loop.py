"""The training loop: batch -> step -> metrics of the previous step -> evaluation -> checkpoint."""

import contextlib
import dataclasses
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import grain
import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from physio_mae_jax import atomic_files
from physio_mae_jax.data.contamination import TrainingProvenance
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.errors import ConfigError, DataError, Stopped, UserError
from physio_mae_jax.setting_ranges import check_fields
from physio_mae_jax.training import integrity, run_description, work_folder
from physio_mae_jax.training.checkpoint import Checkpoints, reject_other_model
from physio_mae_jax.training.data_position import DataPosition, restore_iterator
from physio_mae_jax.training.host_metrics import EVALUATING, INPUT, SAVING, HostMetrics
from physio_mae_jax.training.metric_writer import MetricWriter
from physio_mae_jax.training.preemption import PreemptionHandler
from physio_mae_jax.training.profiling import Profiler
from physio_mae_jax.training.sharding import FSDP_AXIS, shard_batch
from physio_mae_jax.training.state import Metrics, TrainState
from physio_mae_jax.training.trainable import Trainable
from physio_mae_jax.training.watchdog import Watchdog
from physio_mae_jax.types import JsonObject

_LOG = logging.getLogger(__name__)

HostBatch = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """Length of the training and intervals of its outputs.

    Attributes:
        num_steps: Total number of updates.
        log_every_steps, evaluate_every_steps, checkpoint_every_steps: Intervals, steps; the last
            step is always logged, evaluated and saved.
        max_to_keep: Number of newest checkpoints kept on disk.
        watchdog_seconds: Timeout of a wait for data, a step, an evaluation or a save, seconds; the
            process ends when it expires. Compilation is part of the first step.
        profile_at_step: First step of a profile; 0 to profile only on SIGUSR1.
        profile_num_steps: Number of profiled steps.
    """

    num_steps: int
    log_every_steps: int
    evaluate_every_steps: int
    checkpoint_every_steps: int
    max_to_keep: int = 3
    watchdog_seconds: float = 1800.0
    profile_at_step: int = 0
    profile_num_steps: int = 5

    def __post_init__(self) -> None:
        check_fields(self, "loop")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """Components of a training run.

    Attributes:
        workdir: Absolute path of the folder that the run writes.
        trainable: Kind of training, see ``trainable``.
        loop: Length and intervals.
        mesh: Device mesh the batch is sharded over.
        batch_size: Examples per step, over all processes.
        seed: Random seed of the parameters and of every step.
        training: Iterator over the batches of this process.
        recordings: Recordings of the source, for describing windows.
        sampling_rate_hz: Sampling rate of the windows, Hz.
        model_spec: JSON-able description stored with each checkpoint.
        trained_on: Hashes of the training recordings, stored with each checkpoint.
    """

    workdir: Path
    trainable: Trainable
    loop: LoopConfig
    mesh: Mesh
    batch_size: int
    seed: int
    training: grain.DatasetIterator
    recordings: Sequence[RecordingInfo]
    sampling_rate_hz: float
    model_spec: JsonObject
    trained_on: TrainingProvenance


class _PendingStep(NamedTuple):
    """A dispatched step, with its batch for error reports."""

    step: int
    metrics: Metrics
    batch: HostBatch


class _LoopContext(NamedTuple):
    """Services of the loop; ``progress`` is the data position at the first step."""

    checkpoints: Checkpoints
    metric_writer: MetricWriter
    host_metrics: HostMetrics
    stop: PreemptionHandler
    watchdog: Watchdog
    profiler: Profiler
    first_step: int
    progress: DataPosition

    def wait_for_save(self) -> None:
        """Block until the current save is complete, in every process."""
        self.checkpoints.wait()
        # A launcher may kill the processes that are still writing once one process ends.
        multihost_utils.sync_global_devices("saved")

    def save(self, run: TrainingRun, state: TrainState, step: int) -> None:
        """Start saving the state after ``step`` steps."""
        self.watchdog.begin_operation(f"the save of step {step}")
        progress = self.progress.after(step - self.first_step)
        with self.host_metrics.timing(SAVING):
            self.checkpoints.save(step, state, run.model_spec, run.trained_on, progress)


def train(run: TrainingRun) -> TrainState:
    """Train from the newest complete checkpoint in the work folder, or from the start.

    Returns:
        State after the last step.

    Raises:
        Stopped: A stop was requested; a checkpoint to resume from has been written.
        UserError: a loss is not finite (the previous state is saved), or the disk is full
            (the last checkpoint is complete).
    """
    folder = run.workdir / "checkpoints"
    with contextlib.ExitStack() as stack:
        stack.enter_context(work_folder.lock_workdir(run.workdir))
        stack.enter_context(atomic_files.disk_full_as_user_error(run.workdir))
        watchdog = stack.enter_context(Watchdog(run.loop.watchdog_seconds))
        stop = stack.enter_context(PreemptionHandler(run.mesh))
        if jax.process_index() == 0:
            integrity.quarantine_damaged(folder)
        # Other processes must look for the newest checkpoint only afterwards.
        multihost_utils.sync_global_devices("checkpoints are tidy")
        checkpoints = stack.enter_context(Checkpoints(folder, run.loop.max_to_keep))
        state, first_step, progress = _start(run, checkpoints)
        metric_writer = MetricWriter(
            run.workdir,
            first_step=first_step,
            num_steps=run.loop.num_steps,
            batch_size=run.batch_size,
            active=jax.process_index() == 0,
        )
        profiler = Profiler(run.workdir, run.loop.profile_at_step, run.loop.profile_num_steps)
        context = _LoopContext(
            checkpoints=checkpoints,
            metric_writer=stack.enter_context(metric_writer),
            host_metrics=HostMetrics(run.workdir, first_step, run.mesh),
            stop=stop,
            watchdog=watchdog,
            profiler=stack.enter_context(profiler),
            first_step=first_step,
            progress=progress,
        )
        return _run_steps(run, context, state)


def _run_steps(run: TrainingRun, context: _LoopContext, state: TrainState) -> TrainState:
    take_step = run.trainable.compile_step(run.mesh)
    if context.first_step == 0:
        _evaluate(run, context, state, 0)
    if run.trainable.should_stop(context.first_step):
        return state
    pending: _PendingStep | None = None
    for step in range(context.first_step + 1, run.loop.num_steps + 1):
        is_last = step == run.loop.num_steps
        is_evaluating = is_last or step % run.loop.evaluate_every_steps == 0
        is_saving = is_last or step % run.loop.checkpoint_every_steps == 0
        batch, inputs = _next_batch(run, context, step)
        context.watchdog.begin_operation(
            f"step {step}, which is synchronized over all processes", patience=1.5
        )
        with context.profiler.step(step):
            state, metrics = take_step(state, inputs)
        # The host reads the metrics of the previous step while the device computes this one.
        if pending is not None:
            _log_metrics(run, context, state, pending)
        pending = _PendingStep(step, metrics, batch)
        is_stopping = context.stop.should_stop_now()
        if is_evaluating or is_saving or is_stopping:
            _log_metrics(run, context, state, pending)
            pending = None
        if is_evaluating:
            _evaluate(run, context, state, step)
            is_last = is_last or run.trainable.should_stop(step)
        if is_saving or is_last or is_stopping:
            context.save(run, state, step)
        if is_last:
            break
        if is_stopping:
            context.wait_for_save()
            raise Stopped(
                f"stopped by {context.stop.reason} after step {step}; the checkpoint is "
                "written. Run the same command again to resume from there."
            )
    return state


def _next_batch(
    run: TrainingRun, context: _LoopContext, step: int
) -> tuple[HostBatch, dict[str, jax.Array]]:
    """Read the batch of a step; return the host batch and its inputs on the devices."""
    context.watchdog.begin_operation(f"the wait for the data of step {step}")
    with context.host_metrics.timing(INPUT), _read_errors_as_data_errors(step):
        batch = next(run.training)
        return batch, shard_batch({name: batch[name] for name in run.trainable.inputs}, run.mesh)


def _evaluate(run: TrainingRun, context: _LoopContext, state: TrainState, step: int) -> None:
    """Evaluate the model after ``step`` steps, and report the result."""
    context.watchdog.begin_operation(f"the evaluation after step {step}")
    with context.host_metrics.timing(EVALUATING):
        context.metric_writer.evaluation_result(step, run.trainable.evaluate(state, step))
        if step and jax.process_index() == 0:
            run.trainable.plot_learning_curves()


def _start(run: TrainingRun, checkpoints: Checkpoints) -> tuple[TrainState, int, DataPosition]:
    """Restore the newest checkpoint or initialize; return state, step and data position."""
    abstract = jax.eval_shape(run.trainable.init_state, jax.random.key(run.seed))
    summary = run_description.parameter_summary(abstract.params)
    _LOG.info("%s on %d %s device(s)", summary, run.mesh.size, jax.default_backend())
    if jax.process_index() == 0:
        atomic_files.write_text(
            run.workdir / "parameters.txt", run_description.parameter_table(abstract.params)
        )
    progress = DataPosition(
        examples=0,
        batch_size=run.batch_size,
        processes=jax.process_count(),
        devices=run.mesh.size,
        fsdp=run.mesh.shape[FSDP_AXIS],
    )
    step = checkpoints.latest_step
    if step is None:
        return run.trainable.start(jax.random.key(run.seed), run.mesh), 0, progress
    reject_other_model(checkpoints.directory, checkpoints.model_spec(), run.model_spec)
    if step > run.loop.num_steps:
        raise ConfigError(
            f"{checkpoints.directory} contains step {step}, beyond num_steps={run.loop.num_steps}; "
            "raise num_steps or choose another --workdir."
        )
    _LOG.info("resuming from step %d in %s", step, checkpoints.directory)
    progress = restore_iterator(run.training, checkpoints.progress(), progress)
    return checkpoints.restore(abstract, run.mesh), step, progress


def _log_metrics(
    run: TrainingRun, context: _LoopContext, state: TrainState, done: _PendingStep
) -> None:
    """Read the metrics of a step; report them, or stop the run if they are not finite."""
    fetched = jax.device_get(done.metrics)
    non_finite = fetched.pop("non_finite")
    metrics = {name: float(value) for name, value in fetched.items()}
    if non_finite:
        _stop_on_non_finite(run, context, state, done, metrics)
    context.metric_writer.advance(done.step)
    if done.step % run.loop.log_every_steps == 0 or done.step in (1, run.loop.num_steps):
        context.metric_writer.training(done.step, metrics, run.trainable.format_losses(metrics))
        context.host_metrics.report(done.step, done.batch)


def _stop_on_non_finite(
    run: TrainingRun,
    context: _LoopContext,
    state: TrainState,
    done: _PendingStep,
    metrics: dict[str, float],
) -> None:
    """Save the state before the non-finite step, and describe its batch."""
    context.save(
        run, state.replace(non_finite=jax.numpy.zeros_like(state.non_finite)), done.step - 1
    )
    context.wait_for_save()
    path = run.workdir / f"non_finite_step_{done.step}_process_{jax.process_index()}.json"
    windows = run_description.describe_batch(done.batch, run.recordings, run.sampling_rate_hz)
    numbers = {name: str(value) for name, value in metrics.items()}
    atomic_files.write_json(path, {"step": done.step, "metrics": numbers, "windows": windows})
    raise UserError(
        f"step {done.step} produced a non-finite loss or gradient ({numbers}). The state "
        f"before it is saved as step {done.step - 1}; its windows are described in {path}. Check "
        "them, or lower optimizer.peak_learning_rate, then run the same command again."
    )


@contextlib.contextmanager
def _read_errors_as_data_errors(step: int) -> Iterator[None]:
    """Convert an error in reading the data of a step to a ``DataError``."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"the data of step {step} cannot be read: {error}. Is its disk or network drive still "
            "connected? Run the same command again: it resumes from the newest complete checkpoint."
        ) from error

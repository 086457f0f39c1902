"""The one loop: batch -> step -> metrics of the step before -> judgement -> checkpoint."""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grain
import jax
import numpy as np
from jax.sharding import Mesh

from physio_mae_jax.data.contamination import TrainingRecord
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.errors import ConfigError, UserError
from physio_mae_jax.training import artifacts
from physio_mae_jax.training.checkpoint import Checkpoints, refuse_other_contract
from physio_mae_jax.training.interrupts import StopRequest
from physio_mae_jax.training.job import Job
from physio_mae_jax.training.reporter import Reporter
from physio_mae_jax.training.sharding import put_batch
from physio_mae_jax.training.state import Metrics, TrainState

_LOG = logging.getLogger(__name__)

HostBatch = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How long to train and how often to look.

    Attributes:
        num_steps: updates in all.
        log_every_steps, evaluate_every_steps, checkpoint_every_steps: intervals; the last step is
            always logged, judged and saved.
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
class TrainingRun:
    """Everything built that a training is made of.

    Attributes:
        workdir: absolute folder of all that the run writes.
        job: what is trained.
        loop: intervals.
        mesh: of devices.
        batch_size: examples a step.
        seed: of the parameters and of every step.
        training: iterator over batches of this process.
        recordings: of the source, by which batches name their windows.
        sampling_rate_hz: of the windows.
        contract: JSON-able description kept with each checkpoint.
        trained_on: hashes of the training recordings, kept with each checkpoint.
    """

    workdir: Path
    job: Job
    loop: LoopConfig
    mesh: Mesh
    batch_size: int
    seed: int
    training: grain.DatasetIterator
    recordings: Sequence[RecordingInfo]
    sampling_rate_hz: float
    contract: dict[str, Any]
    trained_on: TrainingRecord


@dataclasses.dataclass(frozen=True)
class _Dispatched:
    """A step under way on the device, and what is needed should it turn out to be the last."""

    step: int
    metrics: Metrics
    batch: HostBatch
    iterator_state: Any


def train(run: TrainingRun) -> TrainState:
    """Train from the newest checkpoint in the work folder, or from the start.

    Returns:
        The state after the last step.

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
    run: TrainingRun,
    checkpoints: Checkpoints,
    reporter: Reporter,
    stop: StopRequest,
    state: TrainState,
    first_step: int,
) -> TrainState:
    take_step = run.job.compile_step(run.mesh)
    judgement = run.job.judge(state, 0) if first_step == 0 else None
    reporter.judgement(0, judgement)
    if run.job.is_over(first_step):
        return state
    before: _Dispatched | None = None
    for step in range(first_step + 1, run.loop.num_steps + 1):
        iterator_state = run.training.get_state()
        batch = next(run.training)
        inputs = {name: batch[name] for name in run.job.inputs}
        state, metrics = take_step(state, put_batch(inputs, run.mesh))
        # The device works on this step while the host reads the one before.
        if before is not None:
            _settle(run, checkpoints, reporter, state, before)
        before = _Dispatched(step, metrics, batch, iterator_state)
        last = step == run.loop.num_steps
        judging = last or step % run.loop.evaluate_every_steps == 0
        saving = last or step % run.loop.checkpoint_every_steps == 0
        if judging or saving or stop.signal_name:
            _settle(run, checkpoints, reporter, state, before)
            before = None
        if judging:
            judgement = run.job.judge(state, step)
            reporter.judgement(step, judgement)
            if jax.process_index() == 0:
                run.job.draw_progress()
            last = last or run.job.is_over(step)
        if saving or last or stop.signal_name:
            checkpoints.save(step, state, run.contract, run.trained_on, run.training)
        if last:
            break
        if stop.signal_name:
            checkpoints.wait()
            raise UserError(
                f"stopped by {stop.signal_name} after step {step}; the checkpoint is written. Run "
                "the same command again to go on from there."
            )
    return state


def _start(run: TrainingRun, checkpoints: Checkpoints) -> tuple[TrainState, int]:
    """Restore the newest checkpoint or initialise; return the state and the steps done."""
    abstract = jax.eval_shape(run.job.init_state, jax.random.key(run.seed))
    summary = artifacts.parameter_summary(abstract.params)
    _LOG.info("%s on %d %s device(s)", summary, run.mesh.size, jax.default_backend())
    if jax.process_index() == 0:
        artifacts.write_text(
            run.workdir / "parameters.txt", artifacts.parameter_table(abstract.params)
        )
    step = checkpoints.latest_step
    if step is None:
        return run.job.start(jax.random.key(run.seed), run.mesh), 0
    refuse_other_contract(checkpoints.directory, checkpoints.contract(), run.contract)
    if step > run.loop.num_steps:
        raise ConfigError(
            f"{checkpoints.directory} holds step {step}, beyond num_steps={run.loop.num_steps}; "
            "raise num_steps or choose another --workdir."
        )
    _LOG.info("resuming from step %d in %s", step, checkpoints.directory)
    return checkpoints.restore(abstract, run.mesh, run.training), step


def _settle(
    run: TrainingRun,
    checkpoints: Checkpoints,
    reporter: Reporter,
    state: TrainState,
    done: _Dispatched,
) -> None:
    """Read the metrics of a step: report them, or stop the run where they are not finite."""
    fetched = jax.device_get(done.metrics)
    halted = fetched.pop("halted")
    metrics = {name: float(value) for name, value in fetched.items()}
    if halted:
        _stop_on_non_finite(run, checkpoints, state, done, metrics)
    reporter.advance(done.step)
    if done.step % run.loop.log_every_steps == 0 or done.step in (1, run.loop.num_steps):
        reporter.training(done.step, metrics, run.job.losses_in_words(metrics))


def _stop_on_non_finite(
    run: TrainingRun,
    checkpoints: Checkpoints,
    state: TrainState,
    done: _Dispatched,
    metrics: dict[str, float],
) -> None:
    """Save the state before the bad step, positioned at its batch, and describe that batch."""
    run.training.set_state(done.iterator_state)
    checkpoints.save(
        done.step - 1,
        state.replace(halted=jax.numpy.zeros_like(state.halted)),
        run.contract,
        run.trained_on,
        run.training,
    )
    checkpoints.wait()
    path = run.workdir / f"non_finite_step_{done.step}_process_{jax.process_index()}.json"
    windows = artifacts.describe_batch(done.batch, run.recordings, run.sampling_rate_hz)
    numbers = {name: str(value) for name, value in metrics.items()}
    artifacts.write_json(path, {"step": done.step, "metrics": numbers, "windows": windows})
    raise UserError(
        f"step {done.step} gave a loss or gradient that is not finite ({numbers}). The state "
        f"before it is saved as step {done.step - 1}; its windows are described in {path}. Look "
        "at them, or lower optimizer.peak_learning_rate, then run the same command again."
    )

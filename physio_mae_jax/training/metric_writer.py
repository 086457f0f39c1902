"""Visible output of a run: a progress line, metrics.jsonl and TensorBoard events."""

import json
import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tensorboardX import SummaryWriter
from tqdm import tqdm

from physio_mae_jax.training.evaluation_result import EvaluationResult
from physio_mae_jax.training.metrics_file import open_metrics

_LOG = logging.getLogger(__name__)


class MetricWriter:
    """Writes the metrics of a run; only the first process writes."""

    def __init__(
        self, workdir: Path, *, first_step: int, num_steps: int, batch_size: int, active: bool
    ) -> None:
        """Open the files of a run that starts after ``first_step`` steps.

        Lines of an earlier run after that step are dropped, since they are written again.

        Raises:
            UserError: Another process writes the metrics of this folder.
        """
        self._num_steps = num_steps
        self._batch_size = batch_size
        self._active = active
        self._clock = _StepClock(first_step)
        if not active:
            return
        self._path = workdir / "metrics.jsonl"
        self._file = open_metrics(self._path, first_step)
        self._events = SummaryWriter(str(workdir / "tensorboard"), purge_step=first_step + 1)
        self._bar = tqdm(
            total=num_steps,
            initial=first_step,
            unit="step",
            dynamic_ncols=True,
            disable=not sys.stderr.isatty(),
        )

    def __enter__(self) -> "MetricWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._active:
            self._bar.close()
            self._events.close()
            self._file.close()

    def advance(self, step: int) -> None:
        """Advance the progress bar to ``step`` completed steps."""
        if self._active:
            self._bar.update(step - self._bar.n)

    def training(self, step: int, metrics: Mapping[str, float], losses: str) -> None:
        """Write the metrics of training step ``step`` (1-based), with its losses as text."""
        seconds = self._clock.seconds_per_step(step)
        metrics = dict(metrics)
        line = f"step {step}/{self._num_steps}  {losses}"
        if seconds is not None:
            metrics["samples_per_second"] = self._batch_size / seconds
            remaining = tqdm.format_interval((self._num_steps - step) * seconds)
            line += f"  {metrics['samples_per_second']:.1f} samples/s  ETA {remaining}"
        self._write(step, "train", metrics)
        self._log(line)

    def evaluation_result(self, step: int, evaluation_result: EvaluationResult | None) -> None:
        """Write the result of an evaluation after ``step`` steps."""
        if evaluation_result is not None:
            self._write(step, evaluation_result.phase, evaluation_result.metrics)
            for line in evaluation_result.lines:
                self._log(line)
        self._clock.restart(step)

    def _write(self, step: int, phase: str, metrics: Mapping[str, float]) -> None:
        if not self._active:
            return
        record = {"step": step, "phase": phase, "time": round(time.time(), 3), **metrics}
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        for name, value in metrics.items():
            self._events.add_scalar(f"{phase}/{name}", value, step)

    def _log(self, line: str) -> None:
        if not self._active:
            return
        if self._bar.disable:
            _LOG.info("%s", line)
        else:
            self._bar.write(line, file=sys.stderr)


class _StepClock:
    """Mean step time since the last call, without compilation and evaluations."""

    def __init__(self, first_step: int) -> None:
        self._first_step = first_step
        self._step = first_step
        self._since: float | None = None

    def restart(self, step: int) -> None:
        # Timing starts after the first step of a run, which compiles.
        self._step = step
        self._since = time.perf_counter() if step > self._first_step else None

    def seconds_per_step(self, step: int) -> float | None:
        now, since, steps = time.perf_counter(), self._since, step - self._step
        self._step, self._since = step, now
        return None if since is None or steps < 1 else (now - since) / steps

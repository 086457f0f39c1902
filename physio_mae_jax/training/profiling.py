"""Profiling of steps for TensorBoard, at a configured step or on a signal."""

import contextlib
import logging
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType

import jax

from physio_mae_jax.types import SignalHandler

_LOG = logging.getLogger(__name__)


class Profiler:
    """While entered, SIGUSR1 makes this process profile its next steps.

    The profile is written below 'profile/process_<p>' of the work folder.
    """

    def __init__(self, workdir: Path, at_step: int, num_steps: int) -> None:
        """Profile ``num_steps`` steps each time, the first time at ``at_step`` (0: never)."""
        self._folder = workdir / "profile" / f"process_{jax.process_index()}"
        self._at_step = at_step
        self._num_steps = num_steps
        self._is_requested = False
        self._ends_at: int | None = None
        self._previous: SignalHandler = None

    def __enter__(self) -> "Profiler":
        self._previous = signal.signal(signal.SIGUSR1, self._request)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGUSR1, self._previous)
        self._stop()

    @contextlib.contextmanager
    def step(self, step: int) -> Iterator[None]:
        """Wrap the dispatch of a step."""
        # When the loop starts a step, the step before the previous one is complete.
        if self._ends_at is not None and step > self._ends_at + 1:
            self._stop()
        if self._ends_at is None and (self._is_requested or step == self._at_step):
            self._is_requested = False
            self._ends_at = step + self._num_steps - 1
            jax.profiler.start_trace(str(self._folder))
        with jax.profiler.StepTraceAnnotation("train", step_num=step):
            yield

    def _stop(self) -> None:
        if self._ends_at is not None:
            jax.profiler.stop_trace()
            _LOG.info("the profile up to step %d is in %s", self._ends_at, self._folder)
            self._ends_at = None

    def _request(self, number: int, frame: FrameType | None) -> None:
        self._is_requested = True

"""Turning a request to stop into something that the loop reads between two steps."""

import os
import signal
from types import FrameType, TracebackType
from typing import Any

import jax
from jax.experimental import multihost_utils


class StopRequest:
    """While entered, SIGINT and SIGTERM ask for a stop instead of ending the program.

    Of a run of several processes any may be asked: JAX passes it on, and ``is_due`` is true in all
    of them after the same step. There SIGTERM is JAX's since the processes joined. In a run of one,
    a second signal acts as it did before, for whoever cannot wait.
    """

    def __init__(self) -> None:
        self.signal_name: str | None = None
        self._joined = jax.distributed.is_initialized()
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopRequest":
        handlers = {signal.SIGINT: self._request}
        if self._joined:
            handlers = {signal.SIGINT: _as_sigterm}
        else:
            handlers[signal.SIGTERM] = self._request
        for number, handler in handlers.items():
            self._previous[number] = signal.signal(number, handler)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def is_due(self, step: int) -> bool:
        """Say whether to stop after ``step``; every process asks after every step, in order."""
        if self._joined and multihost_utils.reached_preemption_sync_point(step):
            self.signal_name = signal.SIGTERM.name
        return self.signal_name is not None

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.signal_name = signal.Signals(number).name
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)


def _as_sigterm(number: int, frame: FrameType | None) -> None:
    os.kill(os.getpid(), signal.SIGTERM)

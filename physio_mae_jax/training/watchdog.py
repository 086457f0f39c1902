"""Timeout of waits for data that does not arrive, or for a process that ended."""

import faulthandler
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType

from physio_mae_jax.errors import Interrupted

_LOG = logging.getLogger(__name__)


class Watchdog:
    """While entered, ends the process if one operation takes longer than a limit.

    A thread that hangs in a file system or in a collective cannot be interrupted, so the process
    exits at once, with the status on which launchers restart a run.
    """

    def __init__(self, limit_seconds: float, end: Callable[[int], object] = os._exit) -> None:
        self._limit = limit_seconds
        self._end = end
        self._work, self._since = "the start of training", time.monotonic()
        self._patience = 1.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Watchdog":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def watching(self, work: str, patience: float = 1.0) -> None:
        """Record the operation that begins now.

        Args:
            work: Name of the operation, as in 'stuck in …'.
            patience: Multiple of the limit; above 1 for operations that wait for other processes,
                so that the process they wait for reports first.
        """
        self._patience = patience
        self._work, self._since = work, time.monotonic()

    def _watch(self) -> None:
        while not self._over.wait(min(1.0, self._limit / 4)):
            work, waited = self._work, time.monotonic() - self._since
            if waited > self._limit * self._patience:
                _LOG.error(
                    "stuck in %s for %.0f s (loop.watchdog_seconds=%g). If all processes report "
                    "this, look for one that ended, in its log, or for a lost network connection; "
                    "if one reports it for data, check its disk. If it is only slow, raise "
                    "--config.loop.watchdog_seconds. Stack of each thread:",
                    *(work, waited, self._limit),
                )
                faulthandler.dump_traceback(sys.__stderr__ or sys.stderr)
                self._end(Interrupted.status)
                return

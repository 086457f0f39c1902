"""Timeout for operations that hang, such as waiting for data or processes."""

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
    """Within the context, ends the process if one operation takes longer than a limit.

    A thread that hangs in a file system or collective operation cannot be interrupted, so the
    process exits immediately, with the status on which launchers restart a run.
    """

    def __init__(self, limit_seconds: float, end: Callable[[int], object] = os._exit) -> None:
        self._limit = limit_seconds
        self._end = end
        self._operation, self._since = "the start of training", time.monotonic()
        self._patience = 1.0
        self._stopped = threading.Event()
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
        self._stopped.set()
        self._thread.join()

    def begin_operation(self, operation: str, patience: float = 1.0) -> None:
        """Record the current operation.

        Args:
            work: Name of the operation, as in 'stuck in …'.
            patience: Multiple of the limit; above 1 for operations that wait for other processes,
                so that the process they wait for reports first.
        """
        self._patience = patience
        self._operation, self._since = operation, time.monotonic()

    def _watch(self) -> None:
        while not self._stopped.wait(min(1.0, self._limit / 4)):
            operation, elapsed_s = self._operation, time.monotonic() - self._since
            if elapsed_s > self._limit * self._patience:
                _LOG.error(
                    "stuck in %s for %.0f s (loop.watchdog_seconds=%g). If all processes report "
                    "this, look for one that ended, in its log, or for a lost network connection; "
                    "if one reports it for data, check its disk. If it is only slow, raise "
                    "--config.loop.watchdog_seconds. Stack of each thread:",
                    *(operation, elapsed_s, self._limit),
                )
                faulthandler.dump_traceback(sys.__stderr__ or sys.stderr)
                self._end(Interrupted.status)
                return

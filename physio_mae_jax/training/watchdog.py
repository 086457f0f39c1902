"""An end to waiting: for data that does not come, or a process that is gone."""

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
    """While entered, ends the process if one piece of its work takes longer than a limit.

    A thread that hangs in a file system or in a collective cannot be told to stop, so the process
    ends at once, with the status by which launchers start a run again.
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

    def doing(self, work: str, patience: float = 1.0) -> None:
        """Say what is begun now.

        Args:
            work: in words that follow 'in'.
            patience: of the limit; above 1 for what waits for other processes, so that the one that
                they wait for speaks first.
        """
        self._patience = patience
        self._work, self._since = work, time.monotonic()

    def _watch(self) -> None:
        while not self._over.wait(min(1.0, self._limit / 4)):
            work, waited = self._work, time.monotonic() - self._since
            if waited > self._limit * self._patience:
                _LOG.error(
                    "stuck in %s for %.0f s (loop.watchdog_seconds=%g). Where all processes say "
                    "so, look for one that ended, in its log, or for a network that is gone; where "
                    "one says it of data, look at its disk. Where it is only slow, raise "
                    "--config.loop.watchdog_seconds. What each thread was doing:",
                    *(work, waited, self._limit),
                )
                faulthandler.dump_traceback(sys.__stderr__ or sys.stderr)
                self._end(Interrupted.status)
                return

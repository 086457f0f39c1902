"""Conversion of a stop request to a flag that the loop reads between steps."""

import signal
from types import FrameType, TracebackType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from physio_mae_jax.training.sharding import batch_sharding, replicated


class PreemptionHandler:
    """While entered, SIGINT and SIGTERM request a stop instead of ending the program.

    Any process of a run may receive the request; all of them stop after the same step. A second
    signal has its previous effect, to stop at once.

    JAX's own preemption service is not used: it counts the agreed step from the start of a process,
    and drops a request that arrives before the first step of a run resumed from a later one.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, mesh: Mesh) -> None:
        self._asked_by = ""
        self._previous: dict[signal.Signals, Any] = {}
        self._votes_lie = batch_sharding(mesh)
        self._any = jax.jit(jnp.any, out_shardings=replicated(mesh))
        self._last_vote: jax.Array | None = None

    def __enter__(self) -> "PreemptionHandler":
        for number in self._SIGNALS:
            self._previous[number] = signal.signal(number, self._request)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    @property
    def reason(self) -> str:
        """Name of the signal, or a note that another process received it."""
        return self._asked_by or "a signal to another process"

    def is_due(self) -> bool:
        """Return whether to stop after this step; all processes call this after each step.

        With several processes the votes of the previous step are counted, which adds no delay: by
        then that step has completed anyway.
        """
        if jax.process_count() == 1:
            return bool(self._asked_by)
        before, self._last_vote = self._last_vote, self._vote()
        return before is not None and bool(before)

    def _vote(self) -> jax.Array:
        mine = np.full(jax.local_device_count(), bool(self._asked_by))
        return self._any(jax.make_array_from_process_local_data(self._votes_lie, mine))

    def _request(self, number: int, frame: FrameType | None) -> None:
        self._asked_by = signal.Signals(number).name
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

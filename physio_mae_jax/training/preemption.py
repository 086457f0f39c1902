"""Converting stop signals to a flag that the loop reads between steps."""

import signal
from types import FrameType, TracebackType

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from physio_mae_jax.training.sharding import batch_sharding, replicated
from physio_mae_jax.types import SignalHandler


class PreemptionHandler:
    """While entered, SIGINT and SIGTERM request a stop instead of ending the program.

    Any process of a run may receive the request; all of them stop after the same step. A second
    signal has its original effect and stops immediately.

    JAX's own preemption service is not used: it counts steps from the start of a process, and
    drops requests that arrive before the first step of a resumed run.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, mesh: Mesh) -> None:
        self._signal_name = ""
        self._previous: dict[signal.Signals, SignalHandler] = {}
        self._vote_sharding = batch_sharding(mesh)
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
        return self._signal_name or "a signal to another process"

    def should_stop_now(self) -> bool:
        """Return whether to stop after this step; all processes call this after each step.

        With several processes the votes of the previous step are counted, which adds no delay,
        since that step has already completed.
        """
        if jax.process_count() == 1:
            return bool(self._signal_name)
        previous_vote, self._last_vote = self._last_vote, self._vote()
        return previous_vote is not None and bool(previous_vote)

    def _vote(self) -> jax.Array:
        local_votes = np.full(jax.local_device_count(), bool(self._signal_name))
        return self._any(jax.make_array_from_process_local_data(self._vote_sharding, local_votes))

    def _request(self, number: int, frame: FrameType | None) -> None:
        self._signal_name = signal.Signals(number).name
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

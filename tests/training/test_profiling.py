"""Profiles of steps are recorded when a signal comes."""

import signal

import jax
import numpy as np

from physio_mae_jax.training.profiling import Profiler


def test_a_profile_is_recorded_when_a_signal_comes(tmp_path):
    multiply = jax.jit(lambda x: x * 2)
    with Profiler(tmp_path, 0, 2) as profiler:
        for step in range(1, 7):
            if step == 3:
                signal.raise_signal(signal.SIGUSR1)
            with profiler.step(step):
                multiply(np.float32(step)).block_until_ready()
    (trace,) = tmp_path.rglob("*.xplane.pb")
    assert "profile/process_0/plugins/profile" in trace.as_posix()

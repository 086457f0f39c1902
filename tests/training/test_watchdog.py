"""Operations that hang are ended and named."""

import threading

from physio_mae_jax.errors import Interrupted
from physio_mae_jax.training import watchdog as watchdog_module
from physio_mae_jax.training.watchdog import Watchdog


class Clock:
    """Time that passes when the test says so."""

    def __init__(self):
        self.now_s, self._readings, self._read = 0.0, 0, threading.Condition()

    def monotonic(self):
        if threading.current_thread() is not threading.main_thread():
            with self._read:
                self._readings += 1
                self._read.notify()
        return self.now_s

    def wait_for_two_readings(self):
        """Wait for two more readings, as one may have begun before the time was changed."""
        with self._read:
            wanted = self._readings + 2
            assert self._read.wait_for(lambda: self._readings >= wanted, timeout=60)


def test_watchdog_ends_and_names_a_hanging_operation(said, capfd, monkeypatch):
    clock, over, ended = Clock(), threading.Event(), []

    def end(status):
        ended.append(status)
        over.set()

    monkeypatch.setattr(watchdog_module, "time", clock)
    with Watchdog(0.2, end) as watchdog:
        for _ in range(4):  # slow, but it moves
            watchdog.begin_operation("step 1")
            clock.now_s += 0.1
            clock.wait_for_two_readings()
        assert not ended
        watchdog.begin_operation("the wait for the data of step 2")
        clock.now_s += 0.6
        assert over.wait(60)
    assert ended == [Interrupted.status]
    assert "stuck in the wait for the data of step 2" in said.text
    assert "test_watchdog.py" in capfd.readouterr().err  # where the main thread was

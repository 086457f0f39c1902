"""Operations that hang are ended and named."""

import logging
import time

import pytest

from physio_mae_jax.errors import Interrupted
from physio_mae_jax.training.watchdog import Watchdog


@pytest.fixture
def said(caplog):
    """What the package logs, though it does not propagate once main has set it up."""
    logger = logging.getLogger("physio_mae_jax")
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


def test_watchdog_ends_and_names_a_hanging_operation(said, capfd):
    ended = []
    with Watchdog(0.2, ended.append) as watchdog:
        for _ in range(4):  # slow, but it moves
            watchdog.begin_operation("step 1")
            time.sleep(0.1)
        assert not ended
        watchdog.begin_operation("the wait for the data of step 2")
        time.sleep(0.6)
    assert ended == [Interrupted.status]
    assert "stuck in the wait for the data of step 2" in said.text
    assert "test_faults.py" in capfd.readouterr().err  # where the main thread was

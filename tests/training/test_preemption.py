"""A signal asks for a stop after the step, and a second one has its original effect."""

import signal

import pytest

from physio_mae_jax.training.preemption import PreemptionHandler
from physio_mae_jax.training.sharding import make_mesh


class OriginalEffectError(Exception):
    pass


@pytest.fixture
def original():
    def act(number, frame):
        raise OriginalEffectError

    previous = signal.signal(signal.SIGTERM, act)
    yield act
    signal.signal(signal.SIGTERM, previous)


def test_the_first_signal_asks_and_the_second_acts(original):
    with PreemptionHandler(make_mesh(1)) as handler:
        assert not handler.should_stop_now()
        signal.raise_signal(signal.SIGTERM)
        assert handler.should_stop_now()
        assert handler.reason == "SIGTERM"
        with pytest.raises(OriginalEffectError):
            signal.raise_signal(signal.SIGTERM)


def test_the_original_handler_is_restored(original):
    with PreemptionHandler(make_mesh(1)):
        assert signal.getsignal(signal.SIGTERM) is not original
    assert signal.getsignal(signal.SIGTERM) is original

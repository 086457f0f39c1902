"""Errors end a command with the status that its launcher acts on."""

import pytest

from physio_mae_jax import errors


def test_launchers_restart_what_was_interrupted_and_nothing_else():
    assert (errors.ConfigError.status, errors.DataError.status) == (2, 2)
    assert {kind.status for kind in (errors.Interrupted, errors.Stopped, errors.LostPeer)} == {75}


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (RuntimeError("Gloo all-reduce failed: Connection reset by peer"), True),
        (RuntimeError("DEADLINE_EXCEEDED: barrier timed out"), True),
        (RuntimeError("shapes (2,) and (3,) do not match"), False),
        (errors.ConfigError("the coordination address is empty"), False),
    ],
)
def test_a_lost_process_is_known_by_the_message_of_the_library(error, lost):
    assert errors.is_peer_loss(error) == lost

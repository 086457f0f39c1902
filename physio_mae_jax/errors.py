"""Errors that a user can cause and mend: ``main`` prints their message without a traceback.

Each has the exit status of the command line. Launchers start a run again where it ended by status
75 (the EX_TEMPFAIL of sysexits.h) or by a signal, and leave it be after any other.
"""

import re


class UserError(ValueError):
    """A wrong setting or wrong data; the message names it, what was expected and the way out."""

    status = 2


class ConfigError(UserError):
    """A setting that is unknown, impossible or in conflict with another one."""


class DataError(UserError):
    """A file, recording or manifest that cannot be used as it is."""


class Interrupted(UserError):
    """The run ended before its end through no fault of its own; started again, it goes on."""

    status = 75


class Stopped(Interrupted):
    """The run was asked to stop, and has saved where it was."""


class LostPeer(Interrupted):
    """Another process of the run, or the way to it, is gone."""


# How gloo, NCCL and JAX's own service word that the other end is gone.
_LOST = re.compile(
    r"gloo|nccl|connection (reset|closed|refused)|socket closed|heartbeat|unavailable|"
    r"deadline.exceeded|barrier|coordination",
    re.IGNORECASE,
)


def is_peer_loss(error: BaseException) -> bool:
    """Say whether an error of a library comes of another process that is gone."""
    return not isinstance(error, UserError) and bool(_LOST.search(str(error)))

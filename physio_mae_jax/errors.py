"""Errors that a user can cause and fix: ``main`` prints their message without a traceback.

Each has an exit status of the command line. Launchers restart a run that ended with status 75
(EX_TEMPFAIL of sysexits.h) or by a signal, and not after any other status.
"""

import re


class UserError(ValueError):
    """A wrong setting or wrong data.

    The message gives the value found, the value expected and a fix.
    """

    status = 2


class ConfigError(UserError):
    """A setting that is unknown, impossible or in conflict with another one."""


class DataError(UserError):
    """A file, recording or manifest that cannot be used as it is."""


class Interrupted(UserError):
    """The run was interrupted by an external cause; restarted, it resumes."""

    status = 75


class Stopped(Interrupted):
    """The run was asked to stop, and has saved its state."""


class LostPeer(Interrupted):
    """Another process of the run, or the connection to it, is lost."""


# Messages of gloo, NCCL and JAX's own service when the peer is lost.
_LOST = re.compile(
    r"gloo|nccl|connection (reset|closed|rejected)|socket closed|heartbeat|unavailable|"
    r"deadline.exceeded|barrier|coordination",
    re.IGNORECASE,
)


def is_peer_loss(error: BaseException) -> bool:
    """Return whether a library's error was caused by a lost process."""
    return not isinstance(error, UserError) and bool(_LOST.search(str(error)))

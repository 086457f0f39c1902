"""Errors that a user can cause and mend: ``main`` prints their message without a traceback."""


class UserError(ValueError):
    """A wrong setting or wrong data; the message names it, what was expected and the way out."""


class ConfigError(UserError):
    """A setting that is unknown, impossible or in conflict with another one."""


class DataError(UserError):
    """A file, recording or manifest that cannot be used as it is."""

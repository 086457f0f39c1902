"""The log of the package."""

import logging

import pytest


@pytest.fixture
def said(caplog):
    """What the package logs, though it does not propagate once main has set it up."""
    logger = logging.getLogger("physio_mae_jax")
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)

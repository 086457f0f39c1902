"""Errors end a command with one line, the last one."""

import gc
import logging
import os
import sys
import threading

import pytest
from ml_collections import ConfigDict

from physio_mae_jax import cli
from physio_mae_jax.benchmarks.planning import USABLE_SHARE
from physio_mae_jax.cli import set_gpu_memory_fraction
from physio_mae_jax.errors import ConfigError, UserError


@pytest.fixture(autouse=True)
def hooks(monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)


def raised(error):
    try:
        raise error
    except Exception as caught:
        return caught


def lacking():
    try:
        return ConfigDict({}).num_devices
    except AttributeError as error:
        return error


@pytest.mark.parametrize(
    ("error", "said", "status"),
    [
        (UserError("a\n12:00 done\x1b[2J"), "error: a\n  12:00 done\\x1b[2J\n", 2),
        (ConfigError("x"), "error: x\n", 2),
        (MemoryError(), "error: there is not enough memory (MemoryError). Lower batch_size", 2),
        (RuntimeError("RESOURCE_EXHAUSTED: out of memory\nx"), "error: there is not enough", 2),
        (SystemError("error return without exception set"), "error: there is not enough", 2),
        (ImportError("x.so: failed to map segment from shared object"), "error: there is not", 2),
        (OSError(28, "No space left on device", "/x"), "error: [Errno 28] No space left", 2),
        (lacking(), "error: the config lacks a setting: ", 2),
        (KeyError("fault of the program"), "Traceback", 1),
    ],
)
def test_errors_end_a_command_with_one_line(error, said, status, capsys):
    assert cli.report_error(raised(error)) == status
    assert capsys.readouterr().err.startswith(said)


def test_nothing_is_said_after_the_error(capsys):
    class Noisy:
        def __del__(self):
            raise RuntimeError("Event loop is closed")

    cli.report_error(UserError("the disk is full"))
    noisy = Noisy()
    del noisy
    gc.collect()
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    assert capsys.readouterr().err == "error: the disk is full\n"


def test_a_thread_that_fails_is_told_in_a_line(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("physio_mae_jax"), "propagate", True)
    monkeypatch.setattr(threading, "excepthook", cli._log_thread_error)
    thread = threading.Thread(target=lambda: 1 / 0, name="events")
    thread.start()
    thread.join()
    assert caplog.messages == ["events ended: ZeroDivisionError: division by zero"]


@pytest.mark.parametrize(
    "variable", [None, "XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION"]
)
def test_a_gpu_is_taken_nearly_whole_unless_jax_is_configured_otherwise(variable, monkeypatch):
    new, old = "XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION"
    for name in (new, old):
        monkeypatch.setenv(name, "0.4")  # so that what is set below is undone
        if name != variable:
            monkeypatch.delenv(name)
    set_gpu_memory_fraction()
    given = {name: float(os.environ[name]) for name in (new, old) if name in os.environ}
    assert given == {variable or new: 0.4 if variable else pytest.approx(USABLE_SHARE, abs=0.05)}

"""A disk or memory that is full ends a command with one line, the last one."""

import errno
import gc
import logging
import os
import sys
import threading

import numpy as np
import pytest
from ml_collections import ConfigDict

from physio_mae_jax import atomic_files, cli
from physio_mae_jax.errors import ConfigError, UserError
from physio_mae_jax.inference.feature_store import files
from physio_mae_jax.inference.feature_store.table import FeatureTable


@pytest.fixture(autouse=True)
def hooks(monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO])
def test_array_record_reports_the_disk_error(number, tmp_path, monkeypatch):
    from array_record.python import array_record_module

    class Full:
        def __init__(self, *args):
            pass

        def close(self):
            raise RuntimeError(f"write() failed: {os.strerror(number)}; writing x; at byte 4096")

        def write(self, record):
            self.close()

    monkeypatch.setattr(array_record_module, "ArrayRecordWriter", Full)
    names = np.array(["a"])
    table = FeatureTable(
        embedding=np.zeros((1, 2), np.float32),
        record_id=names,
        subject_id=names,
        data_set=names,
        split=names,
        labels={},
        classes={},
        model_spec={},
    )
    kind = files.get_format("array_record")
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        files.write_table(table, tmp_path / "it", kind)
    assert caught.value.errno == number
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_reported_with_a_fix(tmp_path):
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG):
        reported = pytest.raises(UserError, match=rf"{os.strerror(number)}\. Free some space")
        with reported, atomic_files.disk_full_as_user_error(tmp_path):
            raise OSError(number, os.strerror(number))


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

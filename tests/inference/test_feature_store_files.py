"""Disk errors of array records are reported."""

import errno
import os
import sys
import threading

import numpy as np
import pytest

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

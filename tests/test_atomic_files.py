"""Folders that cannot be written to, and disks that are full."""

import errno
import os

import pytest

from physio_mae_jax import atomic_files
from physio_mae_jax.errors import UserError


def test_unwritable_folder_is_reported_immediately(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write to the work folder .*choose another"):
        atomic_files.prepare_workdir(tmp_path / "file" / "run")


def test_full_disk_is_reported_with_a_fix(tmp_path):
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG):
        reported = pytest.raises(UserError, match=rf"{os.strerror(number)}\. Free some space")
        with reported, atomic_files.disk_full_as_user_error(tmp_path):
            raise OSError(number, os.strerror(number))

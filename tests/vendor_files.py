"""What the tests of exports of devices share: reading a folder, and the real exports."""

from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import FolderSource, open_folder
from physio_mae_jax.preparation.layouts.folder import open_own_folder


def read_all(source: FolderSource, index: int = 0) -> np.ndarray:
    """Read a recording as a whole, which must equal what segments of it give."""
    info = source.recordings[index]
    signal = source.read(index, 0, info.num_samples)
    assert signal.shape == (len(info.channel_names), info.num_samples)
    assert signal.dtype == np.float32
    middle = info.num_samples // 3
    np.testing.assert_array_equal(source.read(index, middle, info.num_samples), signal[:, middle:])
    last = min(middle + 7, info.num_samples)
    np.testing.assert_array_equal(source.read(index, middle, last), signal[:, middle:last])
    return signal


def open_one(folder: Path, **settings) -> FolderSource:
    """Open a folder of one recording; ``prepare folder`` must read the same of it."""
    source = open_folder(folder, **settings)
    assert len(source.recordings) == 1
    if not settings:
        layout = open_own_folder("mine", folder)
        recording = layout.read(folder, layout.found[0])
        np.testing.assert_array_equal(recording.signal, read_all(source))
        assert recording.channels == source.recordings[0].channel_names
    return source


def real_exports(shared: Path, name: str) -> Path:
    """Return a folder of real exports, and skip the test where there is none."""
    folder = shared / "data" / name
    if not folder.is_dir():
        pytest.skip(f"no real exports in {folder}")
    return folder

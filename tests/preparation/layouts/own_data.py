"""A user's own files with labels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physio_mae_jax import prepare
from physio_mae_jax.preparation.layouts.folder import FolderLayout, open_own_folder

NAMES = ("II", "PPG", "RESP")


def write_npz(path: Path, count: int = 4, **members: Any) -> np.ndarray:
    signals = np.random.default_rng(1).normal(size=(count, 3, 300)).astype(np.float32)
    np.savez(path, X=signals, channels=NAMES, fs=100, **members)
    return signals


def opened(folder: Path, **options: Any) -> FolderLayout:
    return open_own_folder("mine", folder, **options)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Call the command line; return its status and what it said."""
    status = prepare.main([*arguments, "--workers=1"])
    said = capsys.readouterr()
    return status, said.out + said.err

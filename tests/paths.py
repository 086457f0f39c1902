"""Folders that tests read from, wherever a test file lies."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "physio_mae_jax"
TORCH_FILES = REPOSITORY / "tests" / "interop" / "torch" / "files"

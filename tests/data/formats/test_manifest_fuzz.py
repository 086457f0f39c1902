"""Manifests of any content are understood or rejected."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from physio_mae_jax.data.formats.manifest import expand_entries, load_manifest
from physio_mae_jax.errors import DataError
from tests.folders import write_manifest
from tests.fuzz_guards import CHANGES, FUZZ, guarded
from tests.fuzz_mutations import change_bytes
from tests.fuzz_seeds import MANIFEST


@pytest.fixture(autouse=True, scope="module")
def silence() -> Iterator[None]:
    """Keep the warnings of hundreds of folders out of the report of a failure."""
    logger = logging.getLogger("physio_mae_jax")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


@FUZZ
@given(changes=CHANGES)
def test_any_manifest_is_understood_or_rejected(changes: Any) -> None:
    with guarded() as folder:
        path = folder / "manifest.json"
        path.write_bytes(change_bytes(MANIFEST, changes))
        for name in ("a.npz", "b.csv", "c.hea"):
            (folder / name).touch()
        with contextlib.suppress(DataError):
            expand_entries(folder, load_manifest(path))


def test_patterns_that_may_mean_something_else_one_day(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    write_manifest(tmp_path, {"file": "a.csv", "subject_pattern": "([[:alpha:]]+)_"})
    with pytest.raises(DataError, match=r"subject_pattern .* is not valid: Possible nested set"):
        load_manifest(tmp_path / "manifest.json")

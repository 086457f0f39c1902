"""Whatever became of a file, reading it succeeds or raises a DataError that names it."""

import contextlib
import logging
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.folders import write_manifest, write_wfdb
from tests.fuzz_guards import CHANGES, FUZZ, guarded
from tests.fuzz_mutations import change_bytes
from tests.fuzz_seeds import FILES, NAMES, SIGNAL, valid_files
from tests.fuzz_targets import read_everything


@pytest.fixture(autouse=True, scope="module")
def silence() -> Iterator[None]:
    """Keep the warnings of hundreds of folders out of the report of a failure."""
    logger = logging.getLogger("physio_mae_jax")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


@pytest.mark.parametrize("case", FILES)
def test_valid_files_are_read(case: str) -> None:
    with guarded() as folder:
        for name, data in valid_files(case).items():
            (folder / name).write_bytes(data)
        read_everything(folder)


@pytest.mark.parametrize("case", FILES)
@FUZZ
@given(changes=CHANGES)
def test_any_file_is_read_or_rejected(case: str, changes: Any) -> None:
    with guarded() as folder:
        for name, data in valid_files(case).items():
            content = change_bytes(data, changes) if name == FILES[case][0] else data
            (folder / name).write_bytes(content)
        named = True
        try:
            read_everything(folder)
        except DataError as error:
            named = str(folder) in str(error)
        assert named


@FUZZ
@given(changes=CHANGES, member=st.sampled_from(("X", "channels", "fs", "subject", "rec", "y")))
def test_any_member_of_an_archive_is_read_or_rejected(changes: Any, member: str) -> None:
    """Changed before it is packed, so that the archive's own checksums are right."""
    with guarded() as folder:
        (folder / "valid.zip").write_bytes(valid_files("npz")["a.npz"])
        with (
            zipfile.ZipFile(folder / "valid.zip") as valid,
            zipfile.ZipFile(folder / "a.npz", "w") as archive,
        ):
            for name in valid.namelist():
                data = valid.read(name)
                archive.writestr(
                    name, change_bytes(data, changes) if name == f"{member}.npy" else data
                )
        write_manifest(folder, {"file": "a.npz", "label_array": "y"})
        with contextlib.suppress(DataError):
            read_everything(folder)


def test_characters_that_do_not_exist(tmp_path: Path) -> None:
    """numpy takes any four bytes for a character, and Python then fails wherever it is used."""
    for code in (0x110000, 0x7FFFFFFF, 0xD800):
        names = np.array(["II", "PPG", "RESP"])
        names.view(np.uint32)[0] = code
        np.savez(tmp_path / "a.npz", X=SIGNAL, channels=names, fs=100)
        with pytest.raises(
            DataError, match=r"member 'channels' is broken: it contains invalid Unicode"
        ):
            open_folder(tmp_path)
    big_endian = np.array(["II", "PPG", "RESP"]).astype(">U4")
    np.savez(tmp_path / "a.npz", X=SIGNAL, channels=big_endian, fs=100)
    assert open_folder(tmp_path).recordings[0].channel_names == NAMES


def test_gains_near_zero(tmp_path: Path) -> None:
    write_wfdb(tmp_path, "a", SIGNAL)
    header = (tmp_path / "a.hea").read_text(encoding="utf-8")
    (tmp_path / "a.hea").write_text(header.replace("1000.0", "1e-310"), encoding="utf-8")
    source = open_folder(tmp_path)
    assert np.isinf(source.read(0, 0, 60)).any()


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (("0", "1e300", "2e300"), "line 4: the time column reads 2e.300; seconds, at most 1e.12"),
        (("0", "1e-320", "2e-320"), "the times do not increase"),
        (("-1e308", "0", "1e308"), "seconds, at most"),
    ],
)
def test_times_beyond_reason(cells: Sequence[str], message: str, tmp_path: Path) -> None:
    lines = "".join(f"{cell},1\n" for cell in cells)
    (tmp_path / "a.csv").write_text(f"time,II\n{lines}", encoding="utf-8")
    with pytest.raises(DataError, match=rf"a\.csv.*{message}"):
        open_folder(tmp_path)

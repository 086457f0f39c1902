"""Checksum lists of any content are understood or rejected."""

import contextlib
import re
from typing import Any

import pytest
from hypothesis import given

from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.checksums import parse_checksums, select_files
from physio_mae_jax.preparation.layouts.ptbxl import PtbXl
from tests.fuzz_guards import CHANGES, FUZZ
from tests.fuzz_mutations import change_bytes
from tests.fuzz_seeds import SUMS


@FUZZ
@given(changes=CHANGES)
def test_any_checksum_list_is_understood_or_rejected(changes: Any) -> None:
    with contextlib.suppress(DataError):
        for name, checksum in parse_checksums(change_bytes(SUMS, changes), "the list").items():
            assert not name.startswith("/")
            assert ".." not in name.split("/")
            assert re.fullmatch("[0-9a-f]{64}", checksum)


def test_ptbxl_variant_downloads_only_its_rate() -> None:
    names = ("LICENSE.txt", "ptbxl_database.csv", "scp_statements.csv", "RECORDS")
    listed = dict.fromkeys((*names, "records100/00000/1.hea", "records500/00000/1.hea"), "")
    chosen = select_files(listed, PtbXl(100).needed_files, "it")
    assert list(chosen) == ["ptbxl_database.csv", "scp_statements.csv", "records100/00000/1.hea"]
    assert "records500/00000/1.hea" in select_files(listed, PtbXl(500).needed_files, "it")


SUM = "0" * 64


def test_both_spellings_of_a_list_are_read() -> None:
    content = f"{SUM}  a b.dat\r\n{SUM.replace('0', 'A')} *./c/d\n\n{SUM}  a b.dat\n"
    assert parse_checksums(b"\xef\xbb\xbf" + content.encode(), "it") == {
        "a b.dat": SUM,
        "c/d": "a" * 64,
    }
    with pytest.raises(DataError, match="not UTF-8"):
        parse_checksums(b"\xff", "it")


@pytest.mark.parametrize(
    "name",
    ["x/" * 2000 + "x", "y" * 252, "z" * 250 + "/" + "é" * 130, "a/" * 600 + "b", "w" * 2000],
)
def test_too_long_paths_are_rejected(name: str) -> None:
    with pytest.raises(DataError, match=r"line 1: the path .* is rejected; no file") as caught:
        parse_checksums(f"{SUM}  {name}\n".encode(), "it")
    assert len(str(caught.value)) < 300

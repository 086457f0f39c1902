"""JSON of strangers is read within bounds."""

import contextlib
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from physio_mae_jax.data.json_reader import parse_json, read_json, read_json_lines
from physio_mae_jax.errors import DataError
from tests.data.json_values import PLAIN

HINT = "copy it again."


def parse(text: str | bytes) -> Any:
    return parse_json(text.encode() if isinstance(text, str) else text, "a.json", HINT)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (make_pipe, "is a pipe"),
        (make_socket, "is a socket"),
        (Path.mkdir, "is a folder"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device"),
        (lambda path: path.symlink_to(path), "cannot be read"),
        (lambda path: None, r"cannot be read \(No such file"),
    ],
)
def test_what_is_no_ordinary_file_is_named(make, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    make(Path("a.json"))
    for reader in (lambda: read_json(Path("a.json"), HINT), lambda: lines(Path("a.json"))):
        with pytest.raises(DataError, match=rf"a\.json {kind}.*; copy it again\."):
            reader()


def lines(path: Path) -> list[tuple[str, Any]]:
    return list(read_json_lines(path, HINT))


def test_a_link_is_followed(tmp_path):
    (tmp_path / "real").write_text('{"a": 1}')
    (tmp_path / "link.json").symlink_to(tmp_path / "real")
    assert read_json(tmp_path / "link.json", HINT) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 200_000, "nested more than 50 deep"),
        ("[" * 51 + "]" * 51, "nested more than 50 deep"),
        ('{"a":' * 60 + "1" + "}" * 60, "nested more than 50 deep"),
        ("NaN", "NaN is not a valid JSON number"),
        ("[-Infinity]", "Infinity is not a valid JSON number"),
        ("1e999", "too large"),
        ("1" * 5000, "a number has 5000 digits"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "key 'c' occurs twice"),
        ('["\\ud800"]', "unpaired surrogate"),
        (b"\xff\xfe[]", "is not UTF-8 text"),
        ("[1, 2", "cannot be read as JSON"),
        ("", "cannot be read as JSON"),
    ],
)
def test_what_is_no_usable_json_is_named(text, message):
    with pytest.raises(DataError, match=rf"a\.json.*{message}.*; copy it again\."):
        parse(text)


def test_a_file_beyond_its_bound_is_not_read(tmp_path):
    (tmp_path / "a.json").write_text("[" + "1," * 600 + "1]")
    with pytest.raises(DataError, match=r"has 1,203 bytes, but at most 1,000"):
        read_json(tmp_path / "a.json", HINT, max_bytes=1000)


def test_lines_are_named_by_number(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}\n{"a":\n')
    with pytest.raises(DataError, match=r"a\.jsonl, line 2 cannot be read as JSON"):
        lines(tmp_path / "a.jsonl")


@given(PLAIN)
def test_what_json_writes_is_read_as_it_was(value):
    assert parse(json.dumps(value)) == value
    assert parse(b"\xef\xbb\xbf" + json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_rejected(content):
    with contextlib.suppress(DataError):
        parse(content)

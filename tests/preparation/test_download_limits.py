"""A server that lies about what it sends is reported and given up."""

import re
from pathlib import Path

import pytest

from physio_mae_jax.preparation import connections, http_client
from physio_mae_jax.preparation import download as module
from physio_mae_jax.preparation.download import download
from tests.preparation.lying_server import BODY, OK, SUM, Answer, Liar, raw, reported, sends


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES_S", (0.0,))
    monkeypatch.setattr(http_client, "SLOW_S", 0.3)
    monkeypatch.setattr(connections, "RESPONSE_TIMEOUT_S", 0.5)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


DIGITS = b"9" * 5000
ANY = "cannot be fetched|is not HTTP|does not have the checksum"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (raw(OK + b"Content-Length: " + DIGITS + b"\r\n\r\n"), "a length with 5000 digits"),
        (raw(OK + b"Content-Length: " + b"9" * 15 + b"\r\n\r\n"), "has room for"),
        (raw(OK + b"Content-Length: -5\r\n\r\n"), "does not have the checksum"),
        (raw(OK + b"Content-Length: 2000\r\n\r\n" + BODY), "ended after 1000 of 2000 bytes"),
        (raw(OK + b"Content-Length: 500\r\n\r\n" + BODY), "does not have the checksum"),
        (raw(b"HTTP/1.1 206 P\r\nContent-Range: bytes " + DIGITS + b"-\r\n\r\n"), "another part"),
        (raw(b"HTTP/1.1 206 P\r\nContent-Range: bytes 7-9/10\r\n\r\n"), "another part"),
        (raw(b"HTTP/1.1 302 F\r\nLocation: http://[::1\r\n\r\n"), "is not HTTP"),
        (raw(b"HTTP/1.1 302 F\r\nLocation: http://127.0.0.1:99999/\r\n\r\n"), ANY),
        (raw(b"HTTP/1.1 302 F\r\nLocation: http://127.0.0.1:x/\r\n\r\n"), ANY),
        (raw(b"HTTP/1.1 302 F\r\nLocation: http://\xff\xfe..x/\r\n\r\n"), ANY),
        (raw(b"HTTP/1.1 302 F\r\nLocation: file:///etc/passwd\r\n\r\n"), "302"),
        (raw(b"HTTP/1.1 302 F\r\nLocation: ftp://127.0.0.1/a\r\n\r\n"), "a redirect to 'ftp:"),
        (raw(b"HTTP/1.1 200 OK\x1b[31m\r\nX: 1\r\n"), "does not have the checksum"),
        (raw(b"HTTP/9.9 abc\r\n\r\n"), "cannot be fetched"),
        (raw(b"HTTP/1.1 999999999 x\r\n\r\n"), "cannot be fetched"),
        (raw(b"\x00" * 70_000), "cannot be fetched"),
        (raw(OK + b"X: " + b"x" * 70_000 + b"\r\n\r\n"), "cannot be fetched"),
        (raw(OK + b"X: 1\r\n" * 200 + b"\r\n"), "cannot be fetched"),
        (raw(OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 5000), ANY),
        (raw(OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabc"), ANY),
        (raw(b""), "cannot be fetched"),
    ],
)  # fmt: skip
def test_invalid_server_responses_are_reported(
    answer: Answer, message: str, tmp_path: Path
) -> None:
    with reported(answer, tmp_path) as said:
        assert re.search(message, said[0]), said[0]
        assert len(said[0]) < 600


def test_endless_body_without_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNSTATED_BYTES", 10**6)
    with reported(raw(OK + b"\r\n", bytes(10**5), times=10_000), tmp_path) as said:
        assert "does not state its length, and sent more than 1,000,000 bytes" in said[0]
    assert [path.name for path in tmp_path.iterdir()] == []


def test_endless_redirect_body(tmp_path: Path) -> None:
    head = b"HTTP/1.1 302 F\r\nLocation: /data/a.dat\r\n\r\n"
    with reported(raw(head, bytes(10**5), times=2_000), tmp_path) as said:
        assert "redirect" in said[0] or "cannot be fetched" in said[0]


def test_deep_valid_path_is_accepted(tmp_path: Path) -> None:
    name = "d/" * 60 + "é" * 100 + ".dat"
    liar = Liar(sends(BODY), sends(f"{SUM}  {name}\n".encode()))
    try:
        assert download(liar.url, tmp_path).fetched == 1
    finally:
        liar.close()
    assert (tmp_path / name).read_bytes() == BODY

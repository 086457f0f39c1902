"""A server that lies about what it sends, or hardly sends anything, is reported and given up."""

import contextlib
import hashlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from physio_mae_jax.errors import DataError, UserError
from physio_mae_jax.preparation import connections, http_client
from physio_mae_jax.preparation import download as module
from physio_mae_jax.preparation.checksums import parse_checksums
from physio_mae_jax.preparation.download import download

BODY = b"0123456789" * 100
SUM = hashlib.sha256(BODY).hexdigest()
LIST = f"{SUM}  a.dat\n".encode()

Answer = Callable[[socket.socket], None]


class Liar:
    """A server on loopback that answers with raw bytes, of the checksum list or of all else."""

    def __init__(self, answer: Answer, listing: Answer | None = None) -> None:
        self.listing = listing or sends(LIST)
        self.answer = answer
        self.requests = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.threads: list[threading.Thread] = []
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}/data"

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()
        for thread in self.threads:
            thread.join()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                self.requests += 1
                thread = threading.Thread(target=self._handle, args=(connection,))
                thread.start()
                self.threads.append(thread)

    def _handle(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(5)
            request = connection.recv(65536)
            (self.listing if b"SHA256SUMS" in request else self.answer)(connection)


def raw(*parts: bytes, pause_s: float = 0.0, times: int = 1) -> Answer:
    """Return what sends the first part, and then the second so many times."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(parts[0])
        for _ in range(times if len(parts) > 1 else 0):
            time.sleep(pause_s)
            connection.sendall(parts[1])

    return answer


def sends(body: bytes, **options: float) -> Answer:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    return raw(head + body)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES_S", (0.0,))
    monkeypatch.setattr(http_client, "SLOW_S", 0.3)
    monkeypatch.setattr(connections, "RESPONSE_TIMEOUT_S", 0.5)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@contextlib.contextmanager
def reported(answer: Answer, folder: Path, listing: Answer | None = None) -> Iterator[list[str]]:
    """Download from a liar, and yield the message of the error."""
    liar, said = Liar(answer, listing), []
    begun = time.monotonic()
    try:
        with pytest.raises(UserError) as caught:
            download(liar.url, folder)
        said.append(str(caught.value))
    finally:
        liar.close()
    assert time.monotonic() - begun < 20
    assert not (folder / "a.dat").exists()
    yield said


OK = b"HTTP/1.1 200 OK\r\n"
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


@pytest.mark.parametrize(
    "answer",
    [
        raw(OK + b"Content-Length: 1000\r\n\r\n", b"0", pause_s=0.05, times=200),
        raw(OK + b"\r\n", b"0", pause_s=0.05, times=200),
        raw(OK, b"X", pause_s=0.05, times=200),
        raw(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 C\r\n\r\n", pause_s=0.01, times=2_000),
    ],
    ids=["body", "endless body", "head", "continue"],
)
def test_too_slow_transfer_is_aborted(answer: Answer, tmp_path: Path) -> None:
    with reported(answer, tmp_path) as said:
        assert "cannot be fetched after 2 attempts" in said[0]


def test_too_slow_checksum_list_is_aborted(tmp_path: Path) -> None:
    listing = raw(OK + b"Content-Length: 999\r\n\r\n", b"0", pause_s=0.05, times=200)
    with reported(sends(BODY), tmp_path, listing) as said:
        assert "SHA256SUMS.txt cannot be fetched" in said[0]


def test_slow_but_sufficient_transfer_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "SLOW_BYTES", 50)
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
    liar = Liar(raw(head, BODY[:10], pause_s=0.01, times=100))
    try:
        assert download(liar.url, tmp_path).fetched == 1
    finally:
        liar.close()


@pytest.mark.parametrize(
    "name",
    ["x/" * 2000 + "x", "y" * 252, "z" * 250 + "/" + "é" * 130, "a/" * 600 + "b", "w" * 2000],
)
def test_too_long_paths_are_rejected(name: str) -> None:
    with pytest.raises(DataError, match=r"line 1: the path .* is rejected; no file") as caught:
        parse_checksums(f"{SUM}  {name}\n".encode(), "it")
    assert len(str(caught.value)) < 300


def test_deep_valid_path_is_accepted(tmp_path: Path) -> None:
    name = "d/" * 60 + "é" * 100 + ".dat"
    liar = Liar(sends(BODY), sends(f"{SUM}  {name}\n".encode()))
    try:
        assert download(liar.url, tmp_path).fetched == 1
    finally:
        liar.close()
    assert (tmp_path / name).read_bytes() == BODY

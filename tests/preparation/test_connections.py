"""Connections that hardly send anything are given up."""

from pathlib import Path

import pytest

from physio_mae_jax.preparation import connections, http_client
from physio_mae_jax.preparation import download as module
from physio_mae_jax.preparation.download import download
from tests.preparation.lying_server import BODY, OK, Answer, Liar, raw, reported, sends


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES_S", (0.0,))
    monkeypatch.setattr(http_client, "SLOW_S", 0.3)
    monkeypatch.setattr(connections, "RESPONSE_TIMEOUT_S", 0.5)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


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

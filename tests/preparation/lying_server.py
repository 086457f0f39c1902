"""A server on loopback that answers with raw bytes."""

import contextlib
import hashlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from physio_mae_jax.errors import UserError
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
            # Until the client gives up, at most for the pause.
            select.select([connection], [], [], pause_s)
            connection.sendall(parts[1])

    return answer


def sends(body: bytes, **options: float) -> Answer:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    return raw(head + body)


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

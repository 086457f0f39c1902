"""A site on loopback with connections that fail in stated ways."""

import contextlib
import hashlib
import http.server
import threading
from pathlib import Path
from typing import Any


class Site:
    """A web server on loopback: files, what goes wrong with them, and what was asked for."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = dict(files)
        self.listing: bytes | None = None
        # Path -> what the next requests meet, in order: a status, ('cut', n), 'wrong', 'silent'.
        self.faults: dict[str, list[Any]] = {}
        self.supports_range = True
        self.password = ""
        self.redirects: dict[str, str] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.authorizations: list[str | None] = []
        handler = type("Handler", (_Handler,), {"site": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/data"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def content(self, name: str) -> bytes | None:
        if name != "SHA256SUMS.txt":
            return self.files.get(name)
        if self.listing is not None:
            return self.listing
        lines = (f"{hashlib.sha256(d).hexdigest()}  {n}\n" for n, d in self.files.items())
        return "".join(lines).encode()

    def asked(self, name: str) -> list[str | None]:
        """Return the ranges that were asked of a file."""
        return [part for path, part in self.requests if path == name]


class _Handler(http.server.BaseHTTPRequestHandler):
    site: Site

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        site, name = self.site, self.path.removeprefix("/data/")
        site.requests.append((name, self.headers["Range"]))
        site.authorizations.append(self.headers["Authorization"])
        faults = site.faults.get(name, [])
        fault = faults.pop(0) if faults else None
        content = site.content(name)
        if site.password and self.headers["Authorization"] != site.password:
            fault = 403
        if isinstance(fault, int) or content is None:
            self.send_error(fault or 404)
            return
        if name in site.redirects:
            self.send_response(302)
            self.send_header("Location", site.redirects[name])
            self.end_headers()
            return
        if fault == "silent":
            self.rfile.read(1)  # until the client gives up
            return
        self._send(content, fault)

    def _send(self, content: bytes, fault: Any) -> None:
        start = 0
        if self.headers["Range"] and self.site.supports_range:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        body = content[start:]
        if fault == "wrong":
            body = bytes(len(body))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if isinstance(fault, tuple):
            body = body[: fault[1]]
        with contextlib.suppress(OSError):
            self.wfile.write(body)


FILES = {
    "a.csv": b"time,II\n" * 1000,
    "records/1 (first).dat": bytes(range(256)) * 3000,
    "records/deep/2.dat": b"\x01" * 500_000,
    "empty": b"",
}
LONG = "records/1 (first).dat"
QUOTED = "records/1%20%28first%29.dat"


class Quoting(Site):
    def content(self, name: str) -> bytes | None:
        return super().content(LONG if name == QUOTED else name)


def assert_whole(folder: Path, files: dict[str, bytes] = FILES) -> None:
    found = {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }
    assert found == files

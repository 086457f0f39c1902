"""A server that only this machine reaches."""

import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.inference.edge.web.page_files import Answer

_HOST = "127.0.0.1"
# Nothing is loaded from, or sent to, another address; onnxruntime-web compiles WebAssembly.
_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


def serve(answers: Mapping[str, Answer], port: int) -> ThreadingHTTPServer:
    """Open a server on the loopback address; ``serve_forever`` of the result answers.

    Args:
        answers: Path of the address -> answer.
        port: Port; 0 for any that is free.

    Raises:
        ConfigError: The port is not available.
    """

    class Handler(_Handler):
        pages = answers

    try:
        return _Server((_HOST, port), Handler)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"--port={port} is not available ({error}); give another one, or 0 for any."
        ) from error


def address_of(server: ThreadingHTTPServer) -> str:
    """Return the address of the page; browsers trust 'localhost' without a certificate."""
    return f"http://localhost:{server.server_address[1]}/"


class _Server(ThreadingHTTPServer):
    """Answers each connection in a thread; a browser may close one at any time."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Report errors other than of closed connections."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD of the paths of ``pages``, and of no other."""

    pages: Mapping[str, Answer] = {}
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds that an idle connection is kept

    def do_GET(self) -> None:
        """Send the content of a path."""
        self._send(with_content=True)

    def do_HEAD(self) -> None:
        """Send the headers of a path."""
        self._send(with_content=False)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing for each request."""

    def _send(self, *, with_content: bool) -> None:
        # A page of another site that resolves its name to this machine is not answered.
        if (urlsplit(f"//{self.headers.get('Host', '')}").hostname or "") not in (
            "localhost",
            _HOST,
        ):
            self.send_error(403, "only localhost is served")
            return
        answer = self.pages.get(urlsplit(self.path).path)
        if answer is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", answer.media_type)
        self.send_header("Content-Length", str(len(answer.content)))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if with_content:
            self.wfile.write(answer.content)

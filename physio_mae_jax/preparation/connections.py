"""Connections to a web server with a response timeout, and handlers of urllib."""

import contextlib
import http.client
import socket
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from typing import Any

# Time limit for the complete header of a response.
RESPONSE_TIMEOUT_S = 60.0


class _TimedConnection(http.client.HTTPConnection):
    """A connection with a time limit for the header of a response."""

    def getresponse(self) -> http.client.HTTPResponse:
        timed_out = threading.Event()

        def close_connection() -> None:
            timed_out.set()
            with contextlib.suppress(OSError):
                # The method of the plain socket: the SSL socket is in use by the other thread.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

        timer = threading.Timer(RESPONSE_TIMEOUT_S, close_connection)
        timer.daemon = True
        timer.start()
        try:
            response = super().getresponse()
        finally:
            timer.cancel()
        if timed_out.is_set():
            response.close()
            raise TimeoutError(f"the response did not begin within {RESPONSE_TIMEOUT_S:g} s")
        return response


class _TimedSecureConnection(_TimedConnection, http.client.HTTPSConnection):
    """The TLS version of ``_TimedConnection``."""


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: Any) -> Any:
        return self.do_open(_TimedConnection, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: Any) -> Any:
        return self.do_open(_TimedSecureConnection, req, context=ssl.create_default_context())


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects without sending the user's headers to other servers."""

    def __init__(self, headers: Sequence[tuple[str, str]]) -> None:
        self._headers = headers

    def http_error_302(self, req: Any, fp: Any, *args: Any) -> Any:
        fp.read = lambda size=None: b""  # urllib would read the body, which may be infinite
        try:
            return super().http_error_302(req, fp, *args)
        except urllib.error.HTTPError:
            raise  # The handler closes it.
        except Exception:
            fp.close()
            raise

    http_error_301: Any = http_error_302
    http_error_303: Any = http_error_302
    http_error_307: Any = http_error_302
    http_error_308: Any = http_error_302

    def redirect_request(self, req: Any, *args: Any) -> urllib.request.Request | None:
        if urllib.parse.urlsplit(args[-1]).scheme not in ("http", "https"):
            raise ValueError(f"a redirect to {args[-1][:100]!r}")
        request = super().redirect_request(req, *args)
        if request is not None and _get_origin(request.full_url) == _get_origin(req.full_url):
            for key, value in self._headers:
                request.add_unredirected_header(key, value)
        return request


def make_opener(headers: Sequence[tuple[str, str]]) -> urllib.request.OpenerDirector:
    """Create a URL opener that uses the proxies of the environment.

    Args:
        headers: (name, value) pairs, resent only if a redirect stays on the same server.
    """
    return urllib.request.build_opener(_Http, _Https, _Redirects(headers))


def _get_origin(url: str) -> tuple[str, str]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc

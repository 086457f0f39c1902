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
from http.client import HTTPMessage
from typing import IO, Any
from urllib.request import Request

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
    def http_open(self, req: Request) -> http.client.HTTPResponse:
        return self.do_open(_TimedConnection, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: Request) -> http.client.HTTPResponse:
        return self.do_open(_TimedSecureConnection, req, context=ssl.create_default_context())


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects without sending the user's headers to other servers."""

    def __init__(self, headers: Sequence[tuple[str, str]]) -> None:
        self._headers = headers

    def http_error_302(
        self, req: Request, fp: Any, code: int, msg: str, headers: HTTPMessage
    ) -> object:
        fp.read = lambda size=None: b""  # urllib would read the body, which may be infinite
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except urllib.error.HTTPError:
            raise  # The handler closes it.
        except Exception:
            fp.close()
            raise

    http_error_301 = http_error_302
    http_error_303 = http_error_302
    http_error_307 = http_error_302
    http_error_308 = http_error_302

    def redirect_request(
        self,
        req: Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> Request | None:
        if urllib.parse.urlsplit(newurl).scheme not in ("http", "https"):
            raise ValueError(f"a redirect to {newurl[:100]!r}")
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
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

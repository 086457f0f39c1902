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

# For the complete head of a response, however slowly it arrives.
ANSWER_S = 60.0


class _Patience(http.client.HTTPConnection):
    """A connection that is closed if the head of a response is not complete in time."""

    def getresponse(self) -> http.client.HTTPResponse:
        over = threading.Event()

        def cut() -> None:
            over.set()
            with contextlib.suppress(OSError):
                # Not that of an SSL socket, which the other thread is using.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

        timer = threading.Timer(ANSWER_S, cut)
        timer.daemon = True
        timer.start()
        try:
            response = super().getresponse()
        finally:
            timer.cancel()
        if over.is_set():
            response.close()
            raise TimeoutError(f"the answer did not begin within {ANSWER_S:g} s")
        return response


class _SecurePatience(_Patience, http.client.HTTPSConnection):
    """The encrypted version of ``_Http``."""


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: Any) -> Any:
        return self.do_open(_Patience, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: Any) -> Any:
        return self.do_open(_SecurePatience, req, context=ssl.create_default_context())


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects and sends the user's headers to no other server."""

    def __init__(self, headers: Sequence[tuple[str, str]]) -> None:
        self._headers = headers

    def http_error_302(self, req: Any, fp: Any, *args: Any) -> Any:
        fp.read = lambda size=None: b""  # urllib would read the body, which may be endless
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
        if request is not None and _origin(request.full_url) == _origin(req.full_url):
            for key, value in self._headers:
                request.add_unredirected_header(key, value)
        return request


def opener(headers: Sequence[tuple[str, str]]) -> urllib.request.OpenerDirector:
    """Return a URL opener that uses the proxies of the environment.

    Args:
        headers: (name, value) pairs, resent only where a redirect stays on the same server.
    """
    return urllib.request.build_opener(_Http, _Https, _Redirects(headers))


def _origin(url: str) -> tuple[str, str]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc

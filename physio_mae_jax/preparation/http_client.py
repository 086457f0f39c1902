"""Files of a web server by urllib, with actionable errors and detection of transient ones."""

import contextlib
import http.client
import re
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

from physio_mae_jax import __version__
from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.preparation.connections import opener
from physio_mae_jax.printable import printable

_TIMEOUT_S = 30.0
# A connection that receives less than this in this time is closed.
SLOW_S = 60.0
SLOW_BYTES = 2**16
_BLOCK_BYTES = 2**18
_MAX_LIST_BYTES = 2**28
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):\s*([^\r\n]+)")
_MAX_DIGITS = 18
_CONTENT_RANGE = re.compile(rf"bytes (\d{{1,{_MAX_DIGITS}}})-")
_TRANSIENT_STATUS = (408, 425, 429)


class TransientError(Exception):
    """A failure that another attempt may avoid."""


class Response:
    """The body of an answer.

    Attributes:
        start: Position of the first byte in the file.
        expected_bytes: File length up to the last byte that will arrive; None if not stated.
    """

    def __init__(self, raw: Any, asked_start: int) -> None:
        """Take over an open answer to a request for the bytes from ``asked_start``.

        Raises:
            TransientError: the server sends another part of the file.
        """
        self._raw = raw
        self._block_since, self._block_bytes = time.monotonic(), 0
        self.start = 0
        if raw.status == http.client.PARTIAL_CONTENT:
            said = _CONTENT_RANGE.match(raw.headers.get("Content-Range", ""))
            if said is None or int(said[1]) != asked_start:
                raise TransientError("the server answered with another part of the file")
            self.start = asked_start
        length = raw.headers.get("Content-Length", "")
        if len(length) > _MAX_DIGITS:
            raise TransientError(f"the server states a length of {len(length)} digits")
        self.expected_bytes = self.start + int(length) if length.isdecimal() else None

    def read_block(self) -> bytes:
        """Return the next bytes, as many as there are; none at the end.

        Raises:
            TransientError: the connection broke, or hardly anything comes through it.
        """
        with _transient():
            block = bytes(self._raw.read1(_BLOCK_BYTES))
        self._block_bytes += len(block)
        waited = time.monotonic() - self._block_since
        if block and waited > SLOW_S:
            if self._block_bytes < SLOW_BYTES:
                raise TransientError(f"only {self._block_bytes:,} bytes came in {waited:.0f} s")
            self._block_since, self._block_bytes = time.monotonic(), 0
        return block


class Server:
    """A folder on a web server."""

    def __init__(self, url: str, headers: Sequence[str] = ()) -> None:
        """Prepare requests; proxies are those of the environment.

        Args:
            url: URL of the folder, http or https.
            headers: 'Name: value' texts, sent to this server only.

        Raises:
            ConfigError: the URL or a header is not valid.
        """
        self._base = _checked_url(url)
        self._headers = [_parse_header(text) for text in headers]
        self._opener = opener(self._headers)

    def url_of(self, name: str) -> str:
        """Return the URL of a file."""
        return f"{self._base}/{urllib.parse.quote(name)}"

    def read(self, name: str) -> bytes:
        """Return the content of a small file.

        Raises:
            TransientError: another attempt may succeed.
            DataError: the server does not have it or does not give it.
            UserError: the server cannot be reached.
        """
        with self.open(name) as response:
            assert response is not None
            blocks, size = [], 0
            while block := response.read_block():
                blocks.append(block)
                size += len(block)
                if size > _MAX_LIST_BYTES:
                    raise DataError(f"{self.url_of(name)} is too long for a list of files.")
            if response.expected_bytes is not None and size < response.expected_bytes:
                raise TransientError("the connection ended early")
            return b"".join(blocks)

    @contextlib.contextmanager
    def open(self, name: str, start: int = 0) -> Iterator[Response | None]:
        """Ask for a file from byte ``start`` on; None where it has no more bytes.

        Raises:
            As ``read``.
        """
        url = self.url_of(name)
        request = urllib.request.Request(
            url, headers={"User-Agent": f"physio_mae_jax/{__version__}"}
        )
        for key, value in self._headers:
            request.add_unredirected_header(key, value)
        if start:
            request.add_header("Range", f"bytes={start}-")
        try:
            with _transient():
                raw = self._opener.open(request, timeout=_TIMEOUT_S)
        except urllib.error.HTTPError as error:
            with error:
                if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not start:
                    raise _http_error(url, error) from error
            yield None
            return
        with raw:
            yield Response(raw, start)


@contextlib.contextmanager
def _transient() -> Iterator[None]:
    """Distinguish transient failures of the connection from permanent ones."""
    try:
        yield
    except (urllib.error.HTTPError, UserError, TransientError):
        raise
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, socket.gaierror) and reason.errno != socket.EAI_AGAIN:
            raise UserError(
                f"the server of --download cannot be found ({reason.strerror}); correct the URL, "
                "or set the proxy of this network in the environment (https_proxy)."
            ) from error
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise UserError(
                f"the certificate of the server is not trusted ({reason.verify_message}); correct "
                "the URL, or name the certificates of this network in SSL_CERT_FILE."
            ) from error
        raise TransientError(f"{type(reason).__name__}: {reason}") from error
    except (ValueError, OverflowError) as error:
        # From an address that it redirects to, or a line that is not HTTP.
        raise DataError(
            f"the answer of the server is not HTTP ({printable(error)}); correct the URL of "
            "--download, or fetch the files by other means."
        ) from error


def _http_error(url: str, error: urllib.error.HTTPError) -> Exception:
    """Return the exception for an error response of the server."""
    code = error.code
    if code in (http.client.NOT_FOUND, http.client.GONE):
        return DataError(
            f"{url} does not exist on the server ({code}); give the URL of the folder in which "
            "the files and SHA256SUMS.txt lie, such as https://physionet.org/files/ptb-xl/1.0.3/."
        )
    if code in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        return DataError(
            f"{url} is not given to everyone ({code}): data of credentialed access needs an "
            "account that has signed its terms of use. Say who you are with "
            "--download_header='Authorization: Basic ...' (base64 of user:password)."
        )
    if code >= 500 or code in _TRANSIENT_STATUS:
        return TransientError(f"the server answers {code} {error.reason}")
    return DataError(f"{url}: the server answers {code} {error.reason}.")


def _checked_url(url: str) -> str:
    try:
        parts = urllib.parse.urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid or not url.isprintable() or " " in url or parts.query or parts.fragment:
        raise ConfigError(
            f"--download={url!r}: the http or https URL of a folder is expected, such as "
            "https://physionet.org/files/ptb-xl/1.0.3/."
        )
    if parts.username is not None:
        raise ConfigError(
            "--download names a user in its URL; give --download_header='Authorization: Basic ...' "
            "(base64 of user:password) instead."
        )
    return url.rstrip("/")


def _parse_header(text: str) -> tuple[str, str]:
    match = _HEADER.fullmatch(text.strip())
    if match is None:
        # Not shown: it may be a secret.
        raise ConfigError(
            "--download_header is not of the form 'Name: value', such as 'Authorization: Basic "
            "...'."
        )
    return match[1], match[2]

"""HTTP client with actionable errors and detection of transient failures."""

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

from physio_mae_jax import __version__
from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.preparation.connections import make_opener
from physio_mae_jax.printable import printable

_TIMEOUT_S = 30.0
# A connection that receives fewer than SLOW_BYTES in SLOW_S is closed.
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
    """The body of a response.

    Attributes:
        start: Position of the first byte in the file.
        expected_bytes: File length up to the last byte that will arrive; None if not stated.
    """

    def __init__(self, raw: http.client.HTTPResponse, requested_start: int) -> None:
        """Wrap the open response to a request for the bytes from ``requested_start``.

        Raises:
            TransientError: the server sends another part of the file.
        """
        self._raw = raw
        self._block_since, self._block_bytes = time.monotonic(), 0
        self.start = 0
        if raw.status == http.client.PARTIAL_CONTENT:
            content_range = _CONTENT_RANGE.match(raw.headers.get("Content-Range", ""))
            if content_range is None or int(content_range[1]) != requested_start:
                raise TransientError("the server sent another part of the file")
            self.start = requested_start
        length = raw.headers.get("Content-Length", "")
        if len(length) > _MAX_DIGITS:
            raise TransientError(f"the server states a length with {len(length)} digits")
        self.expected_bytes = self.start + int(length) if length.isdecimal() else None

    def read_block(self) -> bytes:
        """Return the next available bytes; empty at the end.

        Raises:
            TransientError: the connection broke, or is too slow.
        """
        with _transient():
            block = bytes(self._raw.read1(_BLOCK_BYTES))
        self._block_bytes += len(block)
        elapsed_s = time.monotonic() - self._block_since
        if block and elapsed_s > SLOW_S:
            if self._block_bytes < SLOW_BYTES:
                raise TransientError(
                    f"only {self._block_bytes:,} bytes arrived in {elapsed_s:.0f} s"
                )
            self._block_since, self._block_bytes = time.monotonic(), 0
        return block


class Server:
    """A folder on a web server."""

    def __init__(self, url: str, headers: Sequence[str] = ()) -> None:
        """Prepare requests; proxies are taken from the environment.

        Args:
            url: URL of the folder, http or https.
            headers: 'Name: value' texts, sent to this server only.

        Raises:
            ConfigError: the URL or a header is not valid.
        """
        self._base = _validate_url(url)
        self._headers = [_parse_header(text) for text in headers]
        self._opener = make_opener(self._headers)

    def get_url(self, name: str) -> str:
        """Return the URL of a file."""
        return f"{self._base}/{urllib.parse.quote(name)}"

    def read(self, name: str) -> bytes:
        """Return the content of a small file.

        Raises:
            TransientError: another attempt may succeed.
            DataError: the server does not provide the file.
            UserError: the server cannot be reached.
        """
        with self.open(name) as response:
            assert response is not None
            blocks, size = [], 0
            while block := response.read_block():
                blocks.append(block)
                size += len(block)
                if size > _MAX_LIST_BYTES:
                    raise DataError(f"{self.get_url(name)} is too long for a list of files.")
            if response.expected_bytes is not None and size < response.expected_bytes:
                raise TransientError("the connection ended early")
            return b"".join(blocks)

    @contextlib.contextmanager
    def open(self, name: str, start: int = 0) -> Iterator[Response | None]:
        """Request a file from byte ``start``; None if it has no more bytes.

        Raises:
            As ``read``.
        """
        url = self.get_url(name)
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
        # Raised for redirects to other schemes and for malformed HTTP.
        raise DataError(
            f"the response of the server is not HTTP ({printable(error)}); correct the URL of "
            "--download, or download the files by other means."
        ) from error


def _http_error(url: str, error: urllib.error.HTTPError) -> Exception:
    """Return the exception for an error response of the server."""
    code = error.code
    if code in (http.client.NOT_FOUND, http.client.GONE):
        return DataError(
            f"{url} does not exist on the server ({code}); give the URL of the folder that "
            "contains the files and SHA256SUMS.txt, such as https://physionet.org/files/ptb-xl/1.0.3/."
        )
    if code in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        return DataError(
            f"{url} is not public ({code}): credentialed data needs an account that has accepted "
            "its terms of use. Log in with "
            "--download_header='Authorization: Basic ...' (base64 of user:password)."
        )
    if code >= 500 or code in _TRANSIENT_STATUS:
        return TransientError(f"the server responded {code} {error.reason}")
    return DataError(f"{url}: the server responded {code} {error.reason}.")


def _validate_url(url: str) -> str:
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
            "--download has a user name in its URL; give --download_header='Authorization: Basic "
            "...' (base64 of user:password) instead."
        )
    return url.rstrip("/")


def _parse_header(text: str) -> tuple[str, str]:
    match = _HEADER.fullmatch(text.strip())
    if match is None:
        # The value is not shown: it may be a secret.
        raise ConfigError(
            "--download_header is not of the form 'Name: value', such as 'Authorization: Basic "
            "...'."
        )
    return match[1], match[2]

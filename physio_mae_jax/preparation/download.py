"""Raw data from a server: every file of a checksum list, several at a time, resumed and checked.

A file arrives as ``<name>.part`` and gets its name once its checksum is right; so what bears its
name is whole, and the same command resumes an interrupted one.
"""

import concurrent.futures
import contextlib
import dataclasses
import errno
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.locks import locked
from physio_mae_jax.preparation.checksums import (
    CHECKSUM_LIST,
    PARTIAL_SUFFIX,
    choose,
    parse_checksums,
    sha256_of,
)
from physio_mae_jax.preparation.http_client import Response, Server, TransientError

_T = TypeVar("_T")
_LOCK = ".download.lock"
# Waits between attempts in seconds; after the last one the download fails.
PAUSES_S: tuple[float, ...] = (1, 2, 4, 8, 16)
# DataPosition that resets the attempt count, so that a large file can arrive over a bad line.
_PROGRESS_BYTES = 2**20
# For a file whose length the server does not state: it may be endless.
MAX_UNSTATED_BYTES = 2**28
_SHOWN = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class DownloadSummary:
    """Result of a download.

    Attributes:
        fetched: Number of files downloaded.
        present: Number of files already present with the right checksum.
        num_bytes: Bytes received.
        seconds: Duration in seconds.
    """

    fetched: int
    present: int
    num_bytes: int
    seconds: float

    def __str__(self) -> str:
        rate = self.num_bytes / 1e6 / max(self.seconds, 1e-3)
        return (
            f"{self.fetched} files downloaded ({self.num_bytes / 1e6:.1f} MB at {rate:.1f} MB/s), "
            f"{self.present} were there; every checksum is right."
        )


def download(
    url: str,
    folder: Path,
    needed: Sequence[str] = ("*",),
    *,
    headers: Sequence[str] = (),
    num_workers: int = 4,
    progress: Callable[[int], object] = lambda num_bytes: None,
) -> DownloadSummary:
    """Fetch the files of a data set that are missing in a folder, and check all of them.

    Args:
        url: URL of the folder on the server, which contains ``SHA256SUMS.txt``.
        folder: Destination folder; created if needed.
        needed: Globs of the files to download; '*' also matches slashes.
        headers: Request headers as 'Name: value' texts.
        num_workers: Number of files downloaded in parallel.
        progress: Called with the number of bytes that arrived, by one thread at a time.

    Raises:
        ConfigError: the URL, a header or the number of workers is impossible.
        DataError: the server does not have or give the files, or a checksum is wrong.
        UserError: the files cannot be written, or the server cannot be reached.
    """
    if num_workers < 1:
        raise ConfigError(f"--download_workers must be >= 1; got {num_workers}.")
    begun = time.perf_counter()
    run = _Run(Server(url, headers), folder, progress)
    with _locked(folder):
        chosen = choose(run.checksums(), needed, run.server.url_of(CHECKSUM_LIST))
        outcomes = run.fetch_all(chosen, num_workers)
    altered = sorted(name for name, outcome in outcomes.items() if outcome == "altered")
    if altered:
        more = f" and {len(altered) - _SHOWN} more" if len(altered) > _SHOWN else ""
        raise DataError(
            f"{len(altered)} files of {folder} do not have the checksum of {CHECKSUM_LIST}: "
            f"{', '.join(altered[:_SHOWN])}{more}. They were changed or damaged after they came, "
            "or are of another version. Delete or move them to download them again, or omit "
            "--download to use them as they are."
        )
    counts = list(outcomes.values())
    return DownloadSummary(
        fetched=counts.count("fetched"),
        present=counts.count("present"),
        num_bytes=run.num_bytes,
        seconds=time.perf_counter() - begun,
    )


class _Run:
    """One download: threads that fetch a file each, and what they share."""

    def __init__(self, server: Server, folder: Path, progress: Callable[[int], object]) -> None:
        self.server = server
        self.num_bytes = 0
        self._folder = folder
        self._progress = progress
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def checksums(self) -> dict[str, str]:
        """Fetch and read the checksum list."""
        content = self._patiently(CHECKSUM_LIST, lambda: self.server.read(CHECKSUM_LIST), int)
        return parse_checksums(content, self.server.url_of(CHECKSUM_LIST))

    def fetch_all(self, checksums: Mapping[str, str], num_workers: int) -> dict[str, str]:
        """Fetch files by name -> 'fetched', 'present' or 'altered'; the first error ends all."""
        pool = concurrent.futures.ThreadPoolExecutor(num_workers)
        try:
            waiting = {pool.submit(self._fetch, n, c): n for n, c in checksums.items()}
            return {
                waiting[done]: done.result() for done in concurrent.futures.as_completed(waiting)
            }
        finally:
            # Running downloads stop within a block; their bytes are kept.
            self._stop.set()
            pool.shutdown(wait=True, cancel_futures=True)

    def _fetch(self, name: str, checksum: str) -> str:
        target = self._folder / name
        part = target.with_name(target.name + PARTIAL_SUFFIX)
        with _writing(target):
            if not target.parent.resolve().is_relative_to(self._folder.resolve()):
                raise DataError(
                    f"{target.parent} leads by a link to {target.parent.resolve()}, outside of "
                    f"{self._folder}; nothing is written there."
                )
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                return "present" if sha256_of(target) == checksum else "altered"
            inherited = part.exists()
        self._fetch_rest(name, part)
        if not self._is_right(part, checksum) and inherited:
            # The beginning came from an earlier run and perhaps from another version.
            self._fetch_rest(name, part)
            inherited = False
            self._is_right(part, checksum)
        with _writing(target):
            if not part.exists():
                raise DataError(
                    f"{self.server.url_of(name)} does not have the checksum {checksum} that "
                    f"{CHECKSUM_LIST} states; the file was deleted. Run the same command again; "
                    "if it happens again the server's file is damaged or of another version."
                )
            os.replace(part, target)
        return "fetched"

    def _is_right(self, part: Path, checksum: str) -> bool:
        """Compare the checksum of a file that arrived; delete it where it is wrong."""
        with _writing(part):
            if sha256_of(part) == checksum:
                return True
            part.unlink()
            return False

    def _fetch_rest(self, name: str, part: Path) -> None:
        """Fetch the rest of a file."""

        def size() -> int:
            return part.stat().st_size if part.exists() else 0

        self._patiently(name, lambda: self._append(name, part, size()), size)

    def _append(self, name: str, part: Path, start: int) -> None:
        """Append what follows ``start``, or write all where the server cannot begin there."""
        with self.server.open(name, start) as response:
            if response is None:
                return  # The server has no more; the checksum shows whether the file is complete.
            expected = response.expected_bytes
            self._reject_too_much(name, part, response)
            with _writing(part), part.open("ab" if response.start else "wb") as file:
                size = response.start
                while block := response.read_block():
                    if self._stop.is_set():
                        raise _StoppedError
                    file.write(block)
                    size += len(block)
                    if expected is None and size > MAX_UNSTATED_BYTES:
                        part.unlink()
                        raise DataError(
                            f"{self.server.url_of(name)}: the server does not say how long it is, "
                            f"and sent more than {MAX_UNSTATED_BYTES:,} bytes; they were deleted. "
                            f"Fetch it by other means into {part.parent}."
                        )
                    with self._lock:
                        self.num_bytes += len(block)
                        self._progress(len(block))
        if expected is not None and size < expected:
            raise TransientError(f"the connection ended after {size} of {expected} bytes")

    def _reject_too_much(self, name: str, part: Path, response: Response) -> None:
        """Reject a file that does not fit onto the disk before any of it is written."""
        with _writing(part):
            free = shutil.disk_usage(part.parent).free
        if response.expected_bytes is not None and response.expected_bytes - response.start > free:
            raise UserError(
                f"{self.server.url_of(name)} has {response.expected_bytes:,} bytes as the server "
                f"says, but {part.parent} has room for {free:,}; free some space or choose another "
                "--source."
            )

    def _patiently(self, name: str, attempt: Callable[[], _T], size: Callable[[], int]) -> _T:
        """Call ``attempt`` until it succeeds, with pauses, up to the maximum number of attempts.

        Args:
            name: File name, for messages.
            attempt: Function to call; raises TransientError where another attempt may succeed.
            size: Function that returns the number of bytes present.
        """
        failures, best = 0, size()
        while True:
            if self._stop.is_set():
                raise _StoppedError
            try:
                return attempt()
            except TransientError as error:
                if size() >= best + _PROGRESS_BYTES:
                    failures, best = 0, size()
                if failures == len(PAUSES_S):
                    raise UserError(
                        f"{self.server.url_of(name)} cannot be fetched after {failures + 1} "
                        f"attempts: {error}. What came is kept; run the same command again later."
                    ) from error
                self._stop.wait(PAUSES_S[failures])
                failures += 1


class _StoppedError(Exception):
    """Another file failed, or the user stopped the program."""


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Name the file and the way out where the disk is full or may not be written."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise UserError(
            f"{path} cannot be written: {error.strerror or error}. "
            f"{'Free some space' if full else 'Make the folder writable'} or choose another "
            "--source; what came is kept, and the same command resumes."
        ) from error


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Create a folder and lock it for this process."""
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    taken = f"another process is downloading into {folder}"
    hint = "Wait for it, or choose another --source."
    with contextlib.ExitStack() as stack:
        with _writing(folder):
            stack.enter_context(locked(folder / _LOCK, taken, hint, again=False, remove=True))
        yield

"""Resumable parallel downloads of the files in a checksum list.

A file is downloaded as ``<name>.part`` and renamed after its checksum is verified, so named files
are complete, and the same command resumes an interrupted download.
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
    file_sha256_hex,
    parse_checksums,
    select_files,
)
from physio_mae_jax.preparation.http_client import Response, Server, TransientError

_T = TypeVar("_T")
_LOCK = ".download.lock"
# Waits between attempts in seconds; after the last one the download fails.
PAUSES_S: tuple[float, ...] = (1, 2, 4, 8, 16)
# Progress that resets the attempt count, so that large files can arrive over unreliable
# connections.
_PROGRESS_BYTES = 2**20
# Limit for a file whose length the server does not state.
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
            f"{self.present} were present; all checksums match."
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
    """Download the missing files of a data set and verify all of them.

    Args:
        url: URL of the folder on the server, which contains ``SHA256SUMS.txt``.
        folder: Destination folder; created if needed.
        needed: Globs of the files to download; '*' also matches slashes.
        headers: Request headers as 'Name: value' texts.
        num_workers: Number of files downloaded in parallel.
        progress: Called with the number of bytes that arrived, by one thread at a time.

    Raises:
        ConfigError: the URL, a header or the number of workers is invalid.
        DataError: the server does not provide the files, or a checksum differs.
        UserError: the files cannot be written, or the server cannot be reached.
    """
    if num_workers < 1:
        raise ConfigError(f"--download_workers must be >= 1; got {num_workers}.")
    start_time = time.perf_counter()
    run = _Run(Server(url, headers), folder, progress)
    with _lock_folder(folder):
        chosen = select_files(run.checksums(), needed, run.server.get_url(CHECKSUM_LIST))
        outcomes = run.fetch_all(chosen, num_workers)
    altered = sorted(name for name, outcome in outcomes.items() if outcome == "altered")
    if altered:
        more = f" and {len(altered) - _SHOWN} more" if len(altered) > _SHOWN else ""
        raise DataError(
            f"{len(altered)} files of {folder} do not have the checksum of {CHECKSUM_LIST}: "
            f"{', '.join(altered[:_SHOWN])}{more}. They were changed or damaged after the "
            "download, or are of another version. Delete or move them to download them again, or "
            "omit --download to use them as they are."
        )
    counts = list(outcomes.values())
    return DownloadSummary(
        fetched=counts.count("fetched"),
        present=counts.count("present"),
        num_bytes=run.num_bytes,
        seconds=time.perf_counter() - start_time,
    )


class _Run:
    """State shared by the threads of one download."""

    def __init__(self, server: Server, folder: Path, progress: Callable[[int], object]) -> None:
        self.server = server
        self.num_bytes = 0
        self._folder = folder
        self._progress = progress
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def checksums(self) -> dict[str, str]:
        """Download and parse the checksum list."""
        content = self._retry(CHECKSUM_LIST, lambda: self.server.read(CHECKSUM_LIST), int)
        return parse_checksums(content, self.server.get_url(CHECKSUM_LIST))

    def fetch_all(self, checksums: Mapping[str, str], num_workers: int) -> dict[str, str]:
        """Download files in parallel: name -> 'fetched', 'present' or 'altered'.

        Stops at an error.
        """
        pool = concurrent.futures.ThreadPoolExecutor(num_workers)
        try:
            pending = {pool.submit(self._fetch, n, c): n for n, c in checksums.items()}
            return {
                pending[done]: done.result() for done in concurrent.futures.as_completed(pending)
            }
        finally:
            # Running downloads stop after the current block; received bytes are kept.
            self._stop.set()
            pool.shutdown(wait=True, cancel_futures=True)

    def _fetch(self, name: str, checksum: str) -> str:
        target = self._folder / name
        part = target.with_name(target.name + PARTIAL_SUFFIX)
        with _write_errors_as_user_errors(target):
            if not target.parent.resolve().is_relative_to(self._folder.resolve()):
                raise DataError(
                    f"{target.parent} is a link to {target.parent.resolve()}, outside of "
                    f"{self._folder}; nothing is written there."
                )
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                return "present" if file_sha256_hex(target) == checksum else "altered"
            is_resumed = part.exists()
        self._fetch_rest(name, part)
        if not self._verify_checksum(part, checksum) and is_resumed:
            # The beginning is from an earlier run, and perhaps of another version.
            self._fetch_rest(name, part)
            is_resumed = False
            self._verify_checksum(part, checksum)
        with _write_errors_as_user_errors(target):
            if not part.exists():
                raise DataError(
                    f"{self.server.get_url(name)} does not have the checksum {checksum} that "
                    f"{CHECKSUM_LIST} states; the file was deleted. Run the same command again; "
                    "if it happens again, the server's file is damaged or of another version."
                )
            os.replace(part, target)
        return "fetched"

    def _verify_checksum(self, part: Path, checksum: str) -> bool:
        """Verify the checksum of a downloaded file; delete the file if it differs."""
        with _write_errors_as_user_errors(part):
            if file_sha256_hex(part) == checksum:
                return True
            part.unlink()
            return False

    def _fetch_rest(self, name: str, part: Path) -> None:
        """Fetch the rest of a file."""

        def size() -> int:
            return part.stat().st_size if part.exists() else 0

        self._retry(name, lambda: self._append(name, part, size()), size)

    def _append(self, name: str, part: Path, start: int) -> None:
        """Append the bytes after ``start``, or rewrite the file if the server ignores the range."""
        with self.server.open(name, start) as response:
            if response is None:
                return  # The server has no more; the checksum shows whether the file is complete.
            expected = response.expected_bytes
            self._reject_too_much(name, part, response)
            with (
                _write_errors_as_user_errors(part),
                part.open("ab" if response.start else "wb") as file,
            ):
                size = response.start
                while block := response.read_block():
                    if self._stop.is_set():
                        raise _StoppedError
                    file.write(block)
                    size += len(block)
                    if expected is None and size > MAX_UNSTATED_BYTES:
                        part.unlink()
                        raise DataError(
                            f"{self.server.get_url(name)}: the server does not state its length, "
                            f"and sent more than {MAX_UNSTATED_BYTES:,} bytes; they were deleted. "
                            f"Download it by other means into {part.parent}."
                        )
                    with self._lock:
                        self.num_bytes += len(block)
                        self._progress(len(block))
        if expected is not None and size < expected:
            raise TransientError(f"the connection ended after {size} of {expected} bytes")

    def _reject_too_much(self, name: str, part: Path, response: Response) -> None:
        """Reject a file that does not fit on the disk before writing it."""
        with _write_errors_as_user_errors(part):
            free = shutil.disk_usage(part.parent).free
        if response.expected_bytes is not None and response.expected_bytes - response.start > free:
            raise UserError(
                f"{self.server.get_url(name)} has {response.expected_bytes:,} bytes according to "
                f"the server, but {part.parent} has room for {free:,}; free some space or choose "
                "another --source."
            )

    def _retry(self, name: str, attempt: Callable[[], _T], size: Callable[[], int]) -> _T:
        """Call ``attempt`` with pauses until it succeeds, up to the maximum number of attempts.

        Args:
            name: File name, for messages.
            attempt: Function to call; raises TransientError if another attempt may succeed.
            size: Function that returns the number of bytes present.
        """
        failures, max_size = 0, size()
        while True:
            if self._stop.is_set():
                raise _StoppedError
            try:
                return attempt()
            except TransientError as error:
                if size() >= max_size + _PROGRESS_BYTES:
                    failures, max_size = 0, size()
                if failures == len(PAUSES_S):
                    raise UserError(
                        f"{self.server.get_url(name)} cannot be fetched after {failures + 1} "
                        f"attempts: {error}. Received data is kept; run the same command again "
                        "later."
                    ) from error
                self._stop.wait(PAUSES_S[failures])
                failures += 1


class _StoppedError(Exception):
    """Another file failed, or the user stopped the program."""


@contextlib.contextmanager
def _write_errors_as_user_errors(path: Path) -> Iterator[None]:
    """Convert errors of a full or read-only disk to a ``UserError``."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise UserError(
            f"{path} cannot be written: {error.strerror or error}. "
            f"{'Free some space' if full else 'Make the folder writable'} or choose another "
            "--source; received data is kept, and the same command resumes."
        ) from error


@contextlib.contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Create a folder and lock it for this process."""
    with _write_errors_as_user_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    message = f"another process is downloading into {folder}"
    hint = "Wait for it, or choose another --source."
    with contextlib.ExitStack() as stack:
        with _write_errors_as_user_errors(folder):
            stack.enter_context(locked(folder / _LOCK, message, hint, reentrant=False, remove=True))
        yield

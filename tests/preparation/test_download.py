"""Files of a server arrive whole and checked, whatever the connection does."""

import contextlib
import hashlib
import http.server
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physio_mae_jax import prepare
from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.preparation import download as module
from physio_mae_jax.preparation import http_client as transport
from physio_mae_jax.preparation.checksums import parse_checksums, select_files
from physio_mae_jax.preparation.download import DownloadSummary, download
from physio_mae_jax.preparation.layouts.ptbxl import PtbXl


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
            time.sleep(1)
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


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES_S", (0.0,) * 5)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


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


@pytest.fixture
def site() -> Iterator[Site]:
    site = Quoting(FILES)
    yield site
    site.close()


def assert_whole(folder: Path, files: dict[str, bytes] = FILES) -> None:
    found = {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }
    assert found == files


def test_all_files_are_downloaded_only_once(site: Site, tmp_path: Path) -> None:
    folder, received = tmp_path / "new" / "raw", []
    summary = download(site.url + "/", folder, progress=received.append)
    assert_whole(folder)
    size = sum(map(len, FILES.values()))
    assert (summary.fetched, summary.present, summary.num_bytes) == (4, 0, size)
    assert sum(received) == size
    assert "4 files downloaded (1.3 MB" in str(summary)
    (folder / "a.csv").unlink()
    site.requests.clear()
    summary = download(site.url, folder, num_workers=1)
    assert (summary.fetched, summary.present) == (1, 3)
    assert [name for name, _ in site.requests] == ["SHA256SUMS.txt", "a.csv"]
    assert_whole(folder)


def test_only_matching_files_are_downloaded(site: Site, tmp_path: Path) -> None:
    download(site.url, tmp_path, ("*.csv", "records/deep/*"))
    assert_whole(tmp_path, {name: FILES[name] for name in ("a.csv", "records/deep/2.dat")})
    with pytest.raises(DataError, match=r"lists no file matching 'x/\*'.*it lists a\.csv"):
        download(site.url, tmp_path, ("*.csv", "x/*"))


def test_ptbxl_variant_downloads_only_its_rate() -> None:
    names = ("LICENSE.txt", "ptbxl_database.csv", "scp_statements.csv", "RECORDS")
    listed = dict.fromkeys((*names, "records100/00000/1.hea", "records500/00000/1.hea"), "")
    chosen = select_files(listed, PtbXl(100).needed_files, "it")
    assert list(chosen) == ["ptbxl_database.csv", "scp_statements.csv", "records100/00000/1.hea"]
    assert "records500/00000/1.hea" in select_files(listed, PtbXl(500).needed_files, "it")


class TestBadConnections:
    def test_interrupted_download_resumes(self, site: Site, tmp_path: Path) -> None:
        (tmp_path / "records").mkdir()
        (tmp_path / f"{LONG}.part").write_bytes(FILES[LONG][:300_000])
        summary = download(site.url, tmp_path)
        assert site.asked(QUOTED) == ["bytes=300000-"]
        assert summary.num_bytes == sum(map(len, FILES.values())) - 300_000
        assert_whole(tmp_path)

    def test_dropped_connections_are_resumed(self, site: Site, tmp_path: Path) -> None:
        site.faults[QUOTED] = [("cut", 1000), ("cut", 0), ("cut", 5000)]
        download(site.url, tmp_path)
        assert site.asked(QUOTED) == [None, "bytes=1000-", "bytes=1000-", "bytes=6000-"]
        assert_whole(tmp_path)

    def test_server_without_range_support_restarts_file(self, site: Site, tmp_path: Path) -> None:
        site.supports_range = False
        site.faults[QUOTED] = [("cut", 1000), ("cut", 400)]
        download(site.url, tmp_path)
        assert_whole(tmp_path)

    def test_unreliable_connection_is_retried_while_it_progresses(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_PROGRESS_BYTES", 100)
        site = Site({"long": bytes(2000)})
        site.faults["long"] = [("cut", 100)] * 15
        try:
            download(site.url, tmp_path)
        finally:
            site.close()
        assert_whole(tmp_path, site.files)

    @pytest.mark.parametrize("status", [500, 503, 429])
    def test_transient_errors_are_retried(self, site: Site, tmp_path: Path, status: int) -> None:
        site.faults = {"SHA256SUMS.txt": [status] * 2, "a.csv": [status] * 5}
        download(site.url, tmp_path)
        assert_whole(tmp_path)

    def test_permanent_errors_are_not_retried(self, site: Site, tmp_path: Path) -> None:
        site.faults[QUOTED] = [("cut", 1000)] + [503] * 9
        with pytest.raises(UserError, match=r"records/1%20.* after 6 attempts: .* 503 .* is kept"):
            download(site.url, tmp_path, num_workers=1)
        assert (tmp_path / f"{LONG}.part").read_bytes() == FILES[LONG][:1000]
        site.faults.clear()
        download(site.url, tmp_path)
        assert_whole(tmp_path)

    def test_unresponsive_server_times_out(
        self, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(transport, "_TIMEOUT_S", 0.1)
        site.faults["a.csv"] = ["silent"]
        download(site.url, tmp_path, ("a.csv",))
        assert site.asked("a.csv") == [None, None]

    def test_no_listening_server(self, site: Site, tmp_path: Path) -> None:
        site.close()
        with pytest.raises(UserError, match=r"SHA256SUMS\.txt cannot be fetched after 6 attempts"):
            download(site.url, tmp_path)

    def test_unknown_host(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*args: Any, **options: Any) -> Any:
            raise transport.socket.gaierror(transport.socket.EAI_NONAME, "Name not known")

        monkeypatch.setattr("socket.getaddrinfo", fail)
        with pytest.raises(UserError, match=r"cannot be found \(Name not known\); correct the URL"):
            download("http://no.such.host/x", tmp_path)


class TestWhatTheServerSays:
    def test_missing_files(self, site: Site, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"/datax/SHA256SUMS\.txt does not exist .* \(404\)"):
            download(site.url + "x", tmp_path)
        site.faults["a.csv"] = [404]
        with pytest.raises(DataError, match=r"/data/a\.csv does not exist on the server"):
            download(site.url, tmp_path)
        site.faults["a.csv"] = [418]
        with pytest.raises(DataError, match=r"a\.csv: the server responded 418"):
            download(site.url, tmp_path)

    def test_credentials(self, site: Site, tmp_path: Path) -> None:
        site.password = "Basic dTpw"
        with pytest.raises(DataError, match=r"\(403\): credentialed data .*--download_h"):
            download(site.url, tmp_path)
        download(site.url, tmp_path, headers=["Authorization: Basic dTpw"])
        assert_whole(tmp_path)

    def test_credentials_are_not_sent_to_other_hosts(self, site: Site, tmp_path: Path) -> None:
        other = Site(FILES)
        try:
            site.redirects = {
                "a.csv": f"{other.url}/a.csv",
                "records/deep/2.dat": f"{site.url}/again",
            }
            site.files["again"] = FILES["records/deep/2.dat"]
            site.listing = Site.content(other, "SHA256SUMS.txt")
            download(site.url, tmp_path, headers=["Authorization: secret"])
            assert other.authorizations == [None]
            assert set(site.authorizations) == {"secret"}
            assert "again" in [name for name, _ in site.requests]
        finally:
            other.close()
        assert_whole(tmp_path)

    def test_file_with_wrong_checksum_is_deleted(self, site: Site, tmp_path: Path) -> None:
        site.faults["a.csv"] = ["wrong"]
        with pytest.raises(DataError, match=r"a\.csv does not have the checksum .* was deleted"):
            download(site.url, tmp_path)
        assert not list(tmp_path.glob("a.csv*"))
        download(site.url, tmp_path)
        assert_whole(tmp_path)

    @pytest.mark.parametrize(
        "part", [b"another version", FILES["a.csv"], FILES["a.csv"] + b"more", b""]
    )
    def test_partial_files_of_earlier_runs_are_handled(
        self, site: Site, tmp_path: Path, part: bytes
    ) -> None:
        (tmp_path / "a.csv.part").write_bytes(part)
        download(site.url, tmp_path)
        assert_whole(tmp_path)

    def test_first_error_stops_all_downloads(self, tmp_path: Path) -> None:
        site = Site({f"{i:03}": bytes([i % 256]) * 1000 for i in range(300)})
        site.faults["001"] = [404]
        try:
            with pytest.raises(DataError, match="/001 does not exist"):
                download(site.url, tmp_path, num_workers=2)
        finally:
            site.close()
        assert len(site.requests) < 100
        assert not (tmp_path / ".download.lock").exists()


class TestTheFolder:
    def test_modified_files_are_reported_and_kept(self, site: Site, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_bytes(b"my own rows")
        with pytest.raises(
            DataError, match=r"1 files .* do not have the checksum .*: a\.csv\. .*De"
        ):
            download(site.url, tmp_path)
        assert_whole(tmp_path, {**FILES, "a.csv": b"my own rows"})

    def test_full_disk(self, site: Site, tmp_path: Path) -> None:
        (tmp_path / "a.csv.part").symlink_to("/dev/full")
        with pytest.raises(
            UserError, match=r"a\.csv\.part cannot be written: No space .*Free some"
        ):
            download(site.url, tmp_path, ("a.csv",))

    def test_a_file_where_a_folder_is_needed(self, site: Site, tmp_path: Path) -> None:
        (tmp_path / "records").write_text("")
        with pytest.raises(UserError, match=r"records/.* cannot be written: "):
            download(site.url, tmp_path)

    def test_symlinks_outside_the_folder_are_rejected(self, site: Site, tmp_path: Path) -> None:
        folder, outside = tmp_path / "raw", tmp_path / "outside"
        folder.mkdir()
        outside.mkdir()
        (folder / "records").symlink_to(outside)
        with pytest.raises(DataError, match=r"is a link to .*outside.*; nothing is"):
            download(site.url, folder)
        assert not list(outside.iterdir())

    def test_concurrent_downloads_are_rejected(self, site: Site, tmp_path: Path) -> None:
        with (
            module._lock_folder(tmp_path),
            pytest.raises(UserError, match="another process is downloading"),
        ):
            download(site.url, tmp_path)


SUM = "0" * 64


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{SUM}  ../x", r"line 1: the path '\.\./x' is rejected"),
        (f"{SUM}  ok\n{SUM}  a/../../x", r"line 2: the path .* is rejected"),
        (f"{SUM}  /etc/x", "is rejected; it must be relative"),
        (f"{SUM}  a\\b", "is rejected"),
        (f"{SUM}  C:x", "is rejected"),
        (f"{SUM}  ./", "is rejected"),
        (f"{SUM}  a\x00b", "is rejected"),
        (f"{SUM[1:]}  a", "line 1 reads .* is expected"),
        ("<!DOCTYPE html>", "line 1 reads '<!DOCTYPE html>'.*Is the URL"),
        (f"{SUM}  a\n{'1' * 64}  ./a", "line 2: 'a' is listed with two checksums"),
        (f"{SUM}  a\n{SUM}  a/b", "a is listed as a file and as a folder"),
        (f"{SUM}  a\n{SUM}  a.part", r"a\.part has the name of the partial download"),
        ("\n", "lists no files"),
        (f"{SUM}  SHA256SUMS.txt", "lists no files"),
    ],
)
def test_invalid_checksum_lists_are_rejected(
    content: str, message: str, site: Site, tmp_path: Path
) -> None:
    site.listing = content.encode()
    with pytest.raises(DataError, match=rf"SHA256SUMS\.txt.*{message}"):
        download(site.url, tmp_path / "raw")
    assert not list((tmp_path / "raw").iterdir())


def test_both_spellings_of_a_list_are_read() -> None:
    content = f"{SUM}  a b.dat\r\n{SUM.replace('0', 'A')} *./c/d\n\n{SUM}  a b.dat\n"
    assert parse_checksums(b"\xef\xbb\xbf" + content.encode(), "it") == {
        "a b.dat": SUM,
        "c/d": "a" * 64,
    }
    with pytest.raises(DataError, match="not UTF-8"):
        parse_checksums(b"\xff", "it")


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("ftp://host/x", {}, "http or https"),
        ("physionet.org/files", {}, "http or https"),
        ("http://host:port/", {}, "http or https"),
        ("http://host/x?y=1", {}, "http or https"),
        ("http://me:secret@host/", {}, "has a user name in its URL"),
        ("http://host/", {"num_workers": 0}, "--download_workers must be >= 1; got 0"),
        ("http://host/", {"headers": ["secret"]}, "not of the form 'Name: value'"),
        ("http://host/", {"headers": ["A: b\r\nsecret: c"]}, "not of the form"),
    ],
)
def test_wrong_settings(url: str, options: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        download(url, tmp_path, **options)
    assert "secret" not in str(caught.value)


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tmp_path / "a.npz"
    signal = np.random.default_rng(0).normal(size=(1, 2000))
    np.savez(made, X=signal, channels=["II"], fs=100, subject=["p"])
    site = Site({"one.npz": made.read_bytes(), "two.npz": made.read_bytes()})
    flags = (f"--source={tmp_path / 'raw'}", f"--out={tmp_path / 'out'}", "--workers=1")
    try:
        arguments = ("folder", "--name=mine", f"--download={site.url}", *flags)
        assert prepare.main(arguments) == 0
        assert "2 files downloaded" in capsys.readouterr().out
        assert (tmp_path / "out" / "mine" / "1.0.0" / "dataset.json").exists()
        assert prepare.main((*arguments, "--overwrite")) == 0
        assert "0 files downloaded" in capsys.readouterr().out
        assert prepare.main(("ptbxl", f"--download={site.url}", *flags)) == 2
        assert "lists no file matching 'ptbxl_database.csv'" in capsys.readouterr().err
    finally:
        site.close()
    assert prepare.main(("folder", "--name=mine", "--download_header=A: b", *flags)) == 2
    assert "--download_header needs --download" in capsys.readouterr().err


def test_summary_of_a_fast_download() -> None:
    text = str(DownloadSummary(fetched=0, present=3, num_bytes=0, seconds=0.0))
    assert text == "0 files downloaded (0.0 MB at 0.0 MB/s), 3 were present; all checksums match."

"""Errors of connections and of servers are retried, or reported with a fix."""

from pathlib import Path
from typing import Any

import pytest

from physio_mae_jax.errors import DataError, UserError
from physio_mae_jax.preparation import download as module
from physio_mae_jax.preparation import http_client as transport
from physio_mae_jax.preparation.download import download
from tests.preparation.web_site import FILES, LONG, QUOTED, Site, assert_whole

pytestmark = pytest.mark.usefixtures("no_waiting")


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

"""Files of a server arrive whole and checked, whatever the connection does."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physio_mae_jax import prepare
from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.preparation import download as module
from physio_mae_jax.preparation.download import DownloadSummary, download
from tests.preparation.web_site import FILES, Site, assert_whole

pytestmark = pytest.mark.usefixtures("no_waiting")


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

"""Paths of users are local, or rejected before anything is created."""

from pathlib import Path

import pytest

from physio_mae_jax import atomic_files
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.local_paths import local_folder, local_path


class TestPaths:
    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("gs://bucket/x", "is an address"),
            ("gs:/bucket/x", "is an address"),
            ("s3://b", "is an address"),
            ("HDFS://h:9000/x", "is an address"),
            ("file:///tmp/x", "is an address"),
            ("me@host:/x", "is an address"),
            ("abfss://c@a.dfs.core.windows.net/x", "is an address"),
            ("", "must be a path such as runs/first; got ''"),
            ("  ", "must be a path"),
            (None, "must be a path such as runs/first; got None"),
            (3, "must be a path such as runs/first; got 3"),
            ("~nouser_of_this_name/x", "there is no such user"),
            ("a\0b", r"a\\x00b is not a path: it holds a NUL"),
            ("a\ud800", r"a\\ud800 is not a path"),
            ("x" * 300, "longer than 255 bytes"),
            ("x/" * 2500, "longer than 3,800 bytes"),
        ],
    )
    def test_remote_paths_are_rejected(self, value, message):
        with pytest.raises(ConfigError, match=rf"--workdir.*{message}") as caught:
            local_folder(value, "--workdir")
        assert len(str(caught.value)) < 400
        assert str(caught.value).isprintable()

    def test_local_paths_are_accepted(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path))
        for value in ("a:b", "runs/x", "~/x", "C:/x", "a b/ü", "./gs:/x", "x\ny", Path("x")):
            assert local_folder(value, "--workdir").is_relative_to(tmp_path)
        assert not list(tmp_path.iterdir())
        assert local_path("/dev/null", "--out") == Path("/dev/null")
        (tmp_path / "file").touch()
        for value in ("file", "file/x/y", "/dev/null"):
            with pytest.raises(ConfigError, match="is a file; give a folder"):
                local_folder(value, "--workdir")

    @pytest.mark.parametrize("value", ["gs://bucket/model", "", "~nouser_of_this_name/x", "a\0b"])
    def test_all_folder_creation_checks_for_local_paths(self, value, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ConfigError, match=r"^folder"):
            atomic_files.prepare_workdir(value, "folder")
        assert not list(tmp_path.iterdir())

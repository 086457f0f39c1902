"""The command line of a release."""

from pathlib import Path

import pytest

from physio_mae_jax import release
from physio_mae_jax.model_release.packing import Release


@pytest.fixture
def given(monkeypatch, tmp_path):
    """The settings that the command line hands over."""
    settings = []

    def pack(config):
        settings.append(config)
        return Release(tmp_path, tmp_path / "a.tar.gz", 1.0)

    monkeypatch.setattr(release, "pack_release", pack)
    return settings


@pytest.fixture(autouse=True)
def no_handlers(monkeypatch):
    """The handlers of a command stay in the process, beyond the streams that pytest gives it."""
    monkeypatch.setattr(release, "set_up_logging", lambda: None)


def test_flags_become_settings(given, tmp_path):
    flags = ["--run=runs/x", "--name=physio-x", "--license=MIT", f"--out={tmp_path}"]
    assert release.main([*flags, "--evaluation=a.md", "--evaluation=b.md"]) == 0
    (config,) = given
    assert (config.name, config.license, config.dtype) == ("physio-x", "MIT", "float16")
    assert [path.name for path in config.evaluations] == ["a.md", "b.md"]
    assert config.workdir == Path("runs/x").absolute()


def test_nothing_is_uploaded_unless_asked(given, tmp_path, monkeypatch):
    uploads = []
    monkeypatch.setattr(release, "upload", lambda folder, name: uploads.append(name) or "address")
    flags = ["--run=r", "--name=x", "--license=MIT", f"--out={tmp_path}"]
    assert release.main(flags) == 0
    assert not uploads
    assert release.main([*flags, "--upload=owner/x"]) == 0
    assert uploads == ["owner/x"]


def test_a_wrong_run_ends_with_one_line(tmp_path):
    flags = [f"--run={tmp_path}", "--name=x", "--license=MIT", f"--out={tmp_path / 'out'}"]
    assert release.main(flags) == 2

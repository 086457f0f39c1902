"""Preparing a user's own files from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.errors import UserError
from physio_mae_jax.preparation.layouts.folder_draft import write_draft
from tests.folders import write_csv, write_wfdb
from tests.preparation.layouts.own_data import NAMES, opened, run, write_npz


class TestTheCommandLine:
    @pytest.mark.parametrize("name", ["My", "my-set", "1st", "_", "a b", "../x", "ptbxl", "folder"])
    def test_names(self, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write_npz(tmp_path / "s.npz")
        status, said = run(
            capsys, "folder", f"--name={name}", f"--source={tmp_path}", f"--out={tmp_path / 'out'}"
        )
        assert status == 2
        assert f"--name={name!r}" in said
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["ptbxl", "--name=x", "--out=o"], "--name is only for your own files"),
            (["mitbih", "--manifest=x", "--out=o"], "--manifest is only for your own files"),
            (["mitbih", "--draft_manifest"], "--draft_manifest is only for your own files"),
            (["folder", "--out=o"], "needs a name"),
            (["folder", "--name=x"], "--out is missing"),
            (["folder/x", "--name=x", "--out=o"], "is only for your own files"),
            (["nothing", "--out=o"], "'folder' prepares your own recordings"),
        ],
    )
    def test_flags_that_do_not_belong(
        self, arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        status, said = run(capsys, *arguments, f"--source={tmp_path}")
        assert status == 2
        assert message in said

    def test_a_draft_is_written_once_and_works_when_filled_in(
        self, tmp_path: Path, signal: np.ndarray, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in ("a.npy", "b.npy"):
            np.save(tmp_path / name, signal)
        flags = ("folder", "--name=mine", f"--source={tmp_path}", f"--out={tmp_path / 'out'}")
        status, said = run(capsys, *flags)
        assert status == 2
        assert "do not describe themselves" in said
        assert "with --draft_manifest writes this draft" in said
        status, said = run(capsys, *flags, "--draft_manifest")
        path = tmp_path / "manifest.json"
        assert status == 0
        assert f"written: {path}" in said
        assert "Replace every '?' (channels, sampling_rate_hz)" in said
        assert run(capsys, *flags)[0] == 2
        content = json.loads(path.read_text())
        (entry,) = content["recordings"]
        assert entry["file"] == "*.npy"
        entry |= {"sampling_rate_hz": 100, "channels": NAMES}
        path.write_text(json.dumps(content))
        status, said = run(capsys, *flags, "--draft_manifest")
        assert status == 2
        assert "exists already and is not changed" in said
        assert json.loads(path.read_text()) == json.loads(json.dumps(content))
        assert run(capsys, *flags)[0] == 0

    def test_drafts_elsewhere(self, tmp_path: Path) -> None:
        write_npz(tmp_path / "s.npz")
        said = write_draft(tmp_path, tmp_path / "m.json")
        assert "nothing needs to be added" in said
        assert opened(tmp_path, manifest_path=tmp_path / "m.json").found
        with pytest.raises(UserError, match=r"cannot be written to .*no/m\.json: No such"):
            write_draft(tmp_path, tmp_path / "no" / "m.json")

    def test_broken_files_can_be_excluded(
        self, tmp_path: Path, signal: np.ndarray, capsys: pytest.CaptureFixture[str]
    ) -> None:
        raw = tmp_path / "raw"
        raw.mkdir()
        write_csv(raw / "a.csv", signal)
        (raw / "b.csv").write_bytes(b"\xff\xfe\x00")
        write_wfdb(raw, "w", signal)
        data = bytearray((raw / "w.dat").read_bytes())
        data[100] ^= 1
        (raw / "w.dat").write_bytes(bytes(data))
        flags = ("folder", "--name=mine", f"--source={raw}", f"--out={tmp_path / 'out'}")
        status, said = run(capsys, *flags)
        assert status == 2
        assert "2 of 3 recordings" in said
        assert "b.csv cannot be read" in said
        assert "have the checksum" in said
        status, said = run(capsys, *flags, "--on_invalid=skip")
        assert status == 0
        assert "1 of 3 recordings kept" in said


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--name=synthetic", "--out={0}/out"], "'synthetic' is the name of another data set"),
        (["--name=mine", "--out={0}/file"], "/file is a file; give a folder"),
        (["--name=mine", "--out={0}/file/deeper"], "/file is a file; give a folder"),
    ],
)
def test_what_cannot_be_written_or_would_never_be_read_is_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], words: str
) -> None:
    (tmp_path / "file").touch()
    given = [flag.format(tmp_path) for flag in flags]
    status, said = run(capsys, "folder", f"--source={tmp_path}", *given)
    assert status == 2
    assert words in said

"""Damaged checkpoints are replaced by the previous ones."""

import pytest

from physio_mae_jax.training import integrity


def _checkpoint(folder, content=b"0123456789"):
    (folder / "state" / "d").mkdir(parents=True)
    (folder / "state" / "d" / "array").write_bytes(content)
    (folder / "_CHECKPOINT_METADATA").write_text("{}")
    integrity.write_checksums(folder)
    (folder / "_CHECKPOINT_METADATA").write_text('{"committed": 1}')  # as Orbax does, later


def _remove(path):
    path.unlink()


def _cut(path):
    path.write_bytes(path.read_bytes()[:4])


def _flip(path):
    path.write_bytes(b"0123456780")


@pytest.mark.parametrize(
    ("damage", "words"),
    [(_remove, "is missing"), (_cut, "4 bytes instead of 10"), (_flip, "checksum")],
)
def test_damaged_checkpoint_is_replaced_by_the_previous(damage, words, tmp_path, said):
    folder = tmp_path / "checkpoints"
    for step in (9, 10, 11):
        _checkpoint(folder / str(step))
    for step in (10, 11):
        damage(folder / str(step) / "state" / "d" / "array")
    (folder / "12.orbax-checkpoint-tmp").mkdir()
    integrity.quarantine_damaged(folder)
    assert [path.name for path in folder.iterdir()] == ["9"]
    assert {p.name for p in (tmp_path / integrity.DAMAGED).iterdir()} == {"10", "11"}
    assert "the checkpoint of step 11 is damaged: state/d/array" in said.text
    assert words in said.text


def test_checkpoint_without_checksums_is_replaced_by_the_previous(tmp_path, said):
    _checkpoint(tmp_path / "checkpoints" / "3")
    _checkpoint(tmp_path / "checkpoints" / "4")
    (tmp_path / "checkpoints" / "4" / integrity.CHECKSUMS).unlink()
    integrity.quarantine_damaged(tmp_path / "checkpoints")
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"3"}
    assert "it has no checksums.json, so the copy is incomplete" in said.text


def test_modified_checksums_are_rejected(tmp_path):
    _checkpoint(tmp_path / "3")
    path = tmp_path / "3" / integrity.CHECKSUMS
    path.write_text(path.read_text().replace("state/d/array", "state/d/other"))
    assert "was changed after it was written" in integrity.find_damage(tmp_path / "3")

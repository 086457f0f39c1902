"""Processes and Beam write what one process does."""

import sys

import pytest

from physio_mae_jax.data.prepared import find_prepared
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.preparation.executors import process_executor
from tests.preparation.ptbxl_source import files, prepare


def test_processes_write_what_one_does(source, tmp_path):
    prepare(source, tmp_path / "one")
    prepare(source, tmp_path / "two", executor=process_executor(2))
    ours, theirs = (find_prepared(tmp_path / name, "ptbxl") for name in ("one", "two"))
    assert files(ours) == files(theirs)
    for name in ("recordings.jsonl", "dataset.json", "dataset_info.json"):
        assert (ours / name).read_text() == (theirs / name).read_text()


def test_beam_writes_what_processes_do(source, tmp_path):
    pytest.importorskip("apache_beam", reason="needs Apache Beam: pip install apache-beam")
    from physio_mae_jax.preparation.executors import beam_executor

    prepare(source, tmp_path / "one")
    prepare(source, tmp_path / "two", executor=beam_executor("DirectRunner", []))
    ours, theirs = (find_prepared(tmp_path / name, "ptbxl") for name in ("one", "two"))
    assert (ours / "recordings.jsonl").read_text() == (theirs / "recordings.jsonl").read_text()


def test_a_missing_beam_is_reported(monkeypatch):
    from physio_mae_jax.preparation.executors import beam_executor

    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ConfigError, match="pip install apache-beam"):
        beam_executor("FlinkRunner", [])

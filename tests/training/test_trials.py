"""Trials are claimed, resumed and shared by processes."""

import multiprocessing
import stat
import sys

import pytest

from physio_mae_jax.errors import DataError, UserError
from physio_mae_jax.training.trials import Trial, run_trials, run_workers


def is_done(folder):
    return (folder / "done").is_file()


def noting(name, order):
    def run(folder):
        order.append(name)
        (folder / "done").touch()

    return Trial(name, run)


def test_finished_trials_are_skipped(tmp_path):
    order = []
    entries = [noting(name, order) for name in ("a/1", "a/2", "b/1")]
    (tmp_path / "a/2").mkdir(parents=True)
    (tmp_path / "a/2/done").touch()
    run_trials(tmp_path, entries, is_done)
    run_trials(tmp_path, entries, is_done)
    assert order == ["a/1", "b/1"]


def test_failed_trials_are_retried(tmp_path):
    def fail(folder):
        raise DataError("broken")

    with pytest.raises(DataError, match="broken"):
        run_trials(tmp_path, [Trial("a", fail)], is_done)
    order = []
    run_trials(tmp_path, [noting("a", order)], is_done)
    assert order == ["a"]


def share_out(parent, log, barrier):
    met = []

    def run(folder):
        with log.open("a") as file:
            file.write(folder.name + "\n")
        if not met:
            met.append(barrier.wait(60))  # each process has claimed a trial
        (folder / "done").touch()

    barrier.wait(60)
    run_trials(parent, [Trial(str(k), run) for k in range(12)], is_done)


def test_processes_share_trials_without_repeats(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    log = tmp_path / "log"
    workers = [context.Process(target=share_out, args=(tmp_path, log, barrier)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert sorted(log.read_text().split(), key=int) == [str(k) for k in range(12)]


def pretend_python(folder, monkeypatch, script):
    """Put a shell script where the workers expect Python."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(path))
    monkeypatch.setattr(sys, "argv", ["main.py", "--config=x.py"])


def test_workers_get_the_same_command_and_a_gpu_each(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    monkeypatch.setenv(
        "XLA_PYTHON_CLIENT_MEM_FRACTION", "0.8"
    )  # of old, and rejected beside the new
    pretend_python(
        tmp_path,
        monkeypatch,
        'echo "$@" $CUDA_VISIBLE_DEVICES $XLA_CLIENT_MEM_FRACTION $XLA_PYTHON_CLIENT_MEM_FRACTION',
    )
    run_workers(tmp_path, 3, ["--worker"], lambda: 0)
    said = [(tmp_path / f"workers/{k}.log").read_text().split() for k in range(3)]
    assert all(
        words[:4] == ["-m", "physio_mae_jax.main", "--config=x.py", "--worker"] for words in said
    )
    assert [words[4] for words in said] == ["4", "6", "4"]
    assert {len(words) for words in said} == {6}
    assert all(float(words[5]) == pytest.approx(0.45) for words in said)  # two share the first


def test_failed_worker_is_reported_with_its_last_line(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    pretend_python(tmp_path, monkeypatch, 'echo first; echo "error: no such run"; exit 2')
    with pytest.raises(UserError, match=r"2 of 2 workers failed.*no such run.*workers/0.log"):
        run_workers(tmp_path, 2, [], lambda: 0)

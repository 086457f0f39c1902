"""Runs of several real processes, which talk by gloo: killed, stopped, and on other machines."""

import json
import shutil
import sys

import numpy as np
import pytest

from tests import soak

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
KILLS = 1
STEPS = soak.STEPS_A_KILL * KILLS
FLAGS = [f"--config.loop.{name}={STEPS}" for name in ("num_steps", "evaluate_every_steps")]
FIRST_SAVE = "7"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def soaked(folder):
    """An undisturbed run of two processes, "calm", and one that was killed; their own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
        return soak.soak(folder, KILLS)


def _of_each_step(workdir, file, name):
    lines = (workdir / file).read_text(encoding="utf-8").splitlines()
    return {r["step"]: r[name] for r in map(json.loads, lines) if name in r}


def _assert_alike(ours, theirs):
    """Check that runs trained on the same windows, to the same losses but for rounding."""
    orders = [_of_each_step(run, "hosts.jsonl", "data_order") for run in (ours, theirs)]
    losses = [_of_each_step(run, "metrics.jsonl", "loss") for run in (ours, theirs)]
    assert orders[0] == orders[1]
    assert losses[0].keys() == losses[1].keys() == set(range(1, STEPS + 1))
    np.testing.assert_allclose(list(losses[0].values()), list(losses[1].values()), rtol=1e-4)


def test_killed_and_started_again_it_ends_as_if_undisturbed(soaked, folder):
    printed = soak.log_of(folder / "interrupted").read_text(encoding="utf-8")
    assert (soaked.status, soaked.differences) == (0, []), printed[-3000:]
    assert sum(soaked.ways.values()) == KILLS, printed[-3000:]
    assert soaked.starts > 1


def test_process_0_writes_and_every_process_is_measured(soaked, folder):
    lines = (folder / "calm" / "hosts.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, STEPS + 1))
    for name in ("step_seconds", "input_seconds", "saving_seconds", "memory_gib"):
        of_each_process = np.sum([json.loads(line)[name] for line in lines], axis=0)
        assert of_each_process.shape == (2,)
        assert (of_each_process > 0).all()
    assert len(_of_each_step(folder / "calm", "metrics.jsonl", "loss")) == STEPS


def test_processes_share_the_compilation_cache(soaked, folder):
    """The same run of two processes, begun and begun again after "calm", compiles nothing."""
    calm_ended = soak.log_of(folder / "calm").stat().st_mtime
    cached = [path.stat().st_mtime for path in (folder / "cache").glob("*-cache")]
    assert cached
    assert max(cached) <= calm_ended


@pytest.mark.slow
def test_one_process_of_two_devices_has_the_losses_of_two_processes(soaked, folder):
    launcher = soak.start(folder / "one", FLAGS, processes=1, cpu_devices=2)
    assert launcher.wait(timeout=300) == 0
    _assert_alike(folder / "one", folder / "calm")


def test_one_process_of_four_devices_goes_on_for_two_with_the_same_windows_and_losses(
    soaked, folder
):
    workdir = folder / "moved"
    shutil.copytree(folder / "calm", workdir)
    for checkpoint in (workdir / "checkpoints").iterdir():
        if checkpoint.name != FIRST_SAVE:
            shutil.rmtree(checkpoint)
    flags = [*FLAGS, "--config.fsdp=2"]
    launcher = soak.start(workdir, flags, processes=1, cpu_devices=4)
    assert launcher.wait(timeout=300) == 0
    _assert_alike(workdir, folder / "calm")
    printed = soak.log_of(workdir).read_text(encoding="utf-8")
    assert "resuming with 1 process(es), 4 device(s), fsdp 2, batches of 4 from example " in printed


@pytest.mark.slow
def test_the_whole_soak(tmp_path):
    report = soak.soak(tmp_path, kills=25, seed=1)
    assert (report.status, report.differences) == (0, [])
    assert sum(report.ways.values()) == 25


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one_on_bidmc(shared, tmp_path):
    data = ["--config.data.sets=bidmc", f"--config.data.root={shared / 'data'}"]
    data += [f"--config.loop.{name}=20" for name in ("num_steps", "evaluate_every_steps")]
    for name, processes in (("one", 1), ("two", 2)):
        workdir = tmp_path / name
        launcher = soak.start(workdir, data, processes=processes, cpu_devices=2 // processes)
        assert launcher.wait(timeout=300) == 0, soak.log_of(workdir).read_text()[-2000:]
    one, two = (_of_each_step(tmp_path / n, "metrics.jsonl", "loss") for n in ("one", "two"))
    np.testing.assert_allclose(list(one.values()), list(two.values()), rtol=1e-5)

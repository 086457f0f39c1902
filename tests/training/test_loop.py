"""Laws of the loop: what a run writes, its end and its resuming."""

import errno
import json
import os
import signal

import jax
import numpy as np
import pytest

from physio_mae_jax import atomic_files
from physio_mae_jax.data.contamination import TrainingProvenance
from physio_mae_jax.data.pipeline import LoaderConfig, training_batches, validation_batches
from physio_mae_jax.data.window_transform import WindowConfig
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.training.checkpoint import Checkpoints
from physio_mae_jax.training.loop import LoopConfig, TrainingRun, train
from physio_mae_jax.training.pretrain_trainable import PretrainTrainable
from physio_mae_jax.training.sharding import make_mesh
from tests.factories import ArraySource, train_and_evaluate
from tests.runs import HookedIterator, reported
from tests.training.pretrain_tasks import NUM_STEPS, pretrain_task


def _run(workdir, hook=None, **loop):
    rng = np.random.default_rng(0)
    source = ArraySource([rng.normal(size=(2, 900)).cumsum(1) for _ in range(6)], ("II", "PPG"))
    window = WindowConfig(
        channels="II,PPG", num_channels=2, sampling_rate_hz=100.0, num_samples=400
    )
    reader = WindowReader(source, window)
    loader = LoaderConfig(batch_size=4, seed=0, num_threads=1)
    training = training_batches(reader, [0, 1, 2, 3], loader)
    settings = {"log_every_steps": 1, "evaluate_every_steps": 3, "checkpoint_every_steps": 2}
    task, mesh = pretrain_task(), make_mesh(2)
    trainable = PretrainTrainable(
        workdir=workdir,
        spec=task,
        mesh=mesh,
        validation=validation_batches(reader, [4, 5], loader, 4),
        held_out=True,
        recordings=source.recordings,
        channels=lambda recording: ("II", "PPG"),
    )
    return TrainingRun(
        workdir=workdir,
        trainable=trainable,
        loop=LoopConfig(**({"num_steps": NUM_STEPS} | settings | loop)),
        mesh=mesh,
        batch_size=4,
        seed=0,
        training=HookedIterator(training, hook) if hook else training,
        recordings=source.recordings,
        sampling_rate_hz=100.0,
        model_spec={"model": {"width": 16}, "window": {"channels": ["II", "PPG"]}},
        trained_on=TrainingProvenance.from_recordings(source, [0, 1, 2, 3]),
    )


@pytest.fixture
def no_pictures(monkeypatch):
    """Nobody looks at them, and they take longer than the steps."""
    monkeypatch.setattr(atomic_files, "write_figure", lambda path, figure: None)


def _final_state(workdir):
    run = _run(workdir)
    abstract = jax.eval_shape(run.trainable.init_state, jax.random.key(0))
    with Checkpoints(workdir / "checkpoints", 3) as checkpoints:
        assert checkpoints.latest_step == NUM_STEPS
        return checkpoints.restore(abstract, run.mesh)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("uninterrupted")
    errors = train_and_evaluate(_run(workdir))
    return workdir, errors


def _assert_as_uninterrupted(workdir, errors, uninterrupted):
    reference, reference_errors = uninterrupted
    assert errors == reference_errors
    assert reported(workdir) == reported(reference)
    jax.tree.map(
        np.testing.assert_array_equal,
        jax.device_get(_final_state(workdir)),
        jax.device_get(_final_state(reference)),
    )


def test_a_run_writes_metrics_events_figures_parameters_and_checkpoints(uninterrupted):
    workdir, errors = uninterrupted
    steps = [r["step"] for r in reported(workdir) if r["phase"] == "train"]
    assert steps == list(range(1, NUM_STEPS + 1))
    assert {"waveform/model", "waveform/mean", "waveform/line", "scalogram/model"} <= set(errors)
    for name in ("reconstruction_0000003.png", "reconstruction_0000006.png", "learning_curves.png"):
        assert (workdir / "plots" / name).read_bytes().startswith(b"\x89PNG")
    assert list((workdir / "tensorboard").iterdir())
    assert "decoder/mask_token" in (workdir / "parameters.txt").read_text()
    kept = sorted(path.name for path in (workdir / "checkpoints").iterdir())
    assert kept == ["2", "4", "6"]


def test_nothing_is_compiled_once_every_kind_of_work_was_done(tmp_path):
    """After a first evaluation and checkpoint, steps and further ones find their programs."""
    compiled, at_batch = [], []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, seconds, **of: "backend_compile" in name and compiled.append(of["fun_name"])
    )
    try:
        train(_run(tmp_path, lambda step, batch: at_batch.append(len(compiled)), num_steps=9))
    finally:
        jax.monitoring.clear_event_listeners()
    assert compiled.count("jit(step)") == 1
    assert at_batch[4:] == [len(compiled)] * len(at_batch[4:])


@pytest.mark.usefixtures("no_pictures")
def test_stopped_by_a_signal_and_resumed_equals_uninterrupted(tmp_path, uninterrupted):
    def stop_at_3(step, batch):
        if step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(UserError, match=r"SIGTERM after step 3; the checkpoint is written"):
        train_and_evaluate(_run(tmp_path, stop_at_3))
    errors = train_and_evaluate(_run(tmp_path))
    _assert_as_uninterrupted(tmp_path, errors, uninterrupted)


@pytest.mark.usefixtures("no_pictures")
def test_crashed_between_checkpoints_and_resumed_equals_uninterrupted(tmp_path, uninterrupted):
    def crash_at_6(step, batch):
        if step == 6:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        train_and_evaluate(_run(tmp_path, crash_at_6))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "phase": "tra')  # the line that was being written
    # What a kill during a save leaves behind must not be taken for a checkpoint.
    (tmp_path / "checkpoints" / "5.orbax-checkpoint-tmp" / "state").mkdir(parents=True)
    errors = train_and_evaluate(_run(tmp_path))
    _assert_as_uninterrupted(tmp_path, errors, uninterrupted)


@pytest.mark.usefixtures("no_pictures")
def test_non_finite_loss_saves_the_state_before_it_and_names_the_windows(tmp_path, uninterrupted):
    def poison_4(step, batch):
        if step == 4:
            batch["signal"][0, 0, 7] = np.inf

    with pytest.raises(UserError, match=r"step 4 produced a non-finite"):
        train_and_evaluate(_run(tmp_path, poison_4))
    report = json.loads((tmp_path / "non_finite_step_4_process_0.json").read_text())
    assert [window["finite"] for window in report["windows"]] == [False, True, True, True]
    assert report["windows"][0]["recording"].startswith("record")
    # With the batch fixed the run resumes from the state before it, as if nothing had been.
    errors = train_and_evaluate(_run(tmp_path))
    _assert_as_uninterrupted(tmp_path, errors, uninterrupted)


def test_a_full_disk_is_told_and_the_run_goes_on_from_the_last_checkpoint(
    tmp_path, uninterrupted, monkeypatch
):
    def full(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fill_the_disk_at_3(step, batch):
        if step == 3:
            monkeypatch.setattr(atomic_files.os, "replace", full)

    with pytest.raises(UserError, match=r"(cannot|could not) write .*: No space left on device"):
        train_and_evaluate(_run(tmp_path, fill_the_disk_at_3))
    monkeypatch.undo()
    errors = train_and_evaluate(_run(tmp_path))
    _assert_as_uninterrupted(tmp_path, errors, uninterrupted)


def test_a_finished_run_is_not_trained_further_and_other_settings_are_rejected(uninterrupted):
    workdir, errors = uninterrupted
    before = (workdir / "metrics.jsonl").read_bytes()
    assert train_and_evaluate(_run(workdir)) == errors
    assert (workdir / "metrics.jsonl").read_bytes() == before
    other = _run(workdir)
    other.model_spec["model"] = {"width": 32}
    with pytest.raises(ConfigError, match=r"model\.width: 16 in the run, 32 in the config"):
        train_and_evaluate(other)
    with pytest.raises(ConfigError, match="contains step 6, beyond num_steps=3"):
        train_and_evaluate(_run(workdir, num_steps=3))


@pytest.mark.usefixtures("no_pictures")
def test_data_that_is_gone_is_told_in_one_line(tmp_path):
    def unplug_at_2(step, batch):
        if step == 2:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "/mnt/records/r1.npy")

    with pytest.raises(DataError, match=r"data of step 2 cannot be read.*No such file.*r1\.npy"):
        train_and_evaluate(_run(tmp_path, unplug_at_2))


@pytest.mark.usefixtures("no_pictures")
def test_a_damaged_newest_checkpoint_is_passed_over_and_the_end_is_the_same(
    tmp_path, uninterrupted
):
    def stop_at_5(step, batch):
        if step == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(UserError, match="SIGTERM after step 5"):
        train_and_evaluate(_run(tmp_path, stop_at_5))
    newest = tmp_path / "checkpoints" / "5"
    largest = max((p for p in newest.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    errors = train_and_evaluate(_run(tmp_path))
    assert (tmp_path / "damaged_checkpoints" / "5").is_dir()
    _assert_as_uninterrupted(tmp_path, errors, uninterrupted)

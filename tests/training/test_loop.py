"""Laws of the training step and of the loop: devices, accumulation, resuming, non-finite losses."""

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
from physio_mae_jax.objectives.pretraining import ObjectiveConfig
from physio_mae_jax.training.checkpoint import Checkpoints
from physio_mae_jax.training.loop import LoopConfig, TrainingRun, train
from physio_mae_jax.training.optimizer import (
    OptimizerConfig,
    learning_rate_schedule,
    make_optimizer,
    weight_decay_mask,
)
from physio_mae_jax.training.pretrain_step import (
    PretrainSpec,
    compile_train_step,
    evaluation_step,
    init_state,
    train_step,
)
from physio_mae_jax.training.pretrain_trainable import PretrainTrainable
from physio_mae_jax.training.sharding import check_batch_size, make_mesh, replicated, shard_batch
from tests.factories import ArraySource, random_batch, tiny_model, train_and_evaluate
from tests.runs import HookedIterator, reported

NUM_STEPS = 6


def _task(accumulation_steps=1, **changes):
    config = OptimizerConfig(peak_learning_rate=1e-2, warmup_steps=1)
    return PretrainSpec(
        model=tiny_model(depth=1, width=16, **changes),
        objective=ObjectiveConfig(),
        optimizer=make_optimizer(config, NUM_STEPS),
        learning_rate=learning_rate_schedule(config, NUM_STEPS),
        accumulation_steps=accumulation_steps,
    )


def _two_steps(task, num_devices, batch):
    mesh = make_mesh(num_devices)
    state = jax.jit(lambda: init_state(task, jax.random.key(0)), out_shardings=replicated(mesh))()
    step = compile_train_step(task, mesh)
    for _ in range(2):
        state, metrics = step(state, shard_batch(batch, mesh))
    return jax.device_get(state.params), jax.device_get(metrics)


def _assert_close(ours, theirs, tolerance):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance)


def _batch():
    batch = {name: np.array(value) for name, value in random_batch(8, 3).items()} | {
        "subject": np.arange(8)
    }
    batch["channel_mask"][3, 1] = False
    return batch


def test_eight_devices_update_as_one_does():
    one, one_metrics = _two_steps(_task(), 1, _batch())
    eight, eight_metrics = _two_steps(_task(), 8, _batch())
    assert eight_metrics["loss"] == pytest.approx(one_metrics["loss"], rel=1e-5)
    assert eight_metrics["gradient_norm"] == pytest.approx(one_metrics["gradient_norm"], rel=1e-4)
    _assert_close(one, eight, 2e-5)


def test_accumulated_micro_batches_update_as_the_whole_batch():
    whole, whole_metrics = _two_steps(_task(), 2, _batch())
    parts, parts_metrics = _two_steps(_task(accumulation_steps=4), 2, _batch())
    assert parts_metrics["loss"] == pytest.approx(whole_metrics["loss"], rel=1e-5)
    _assert_close(whole, parts, 2e-5)


def test_a_bad_batch_changes_nothing_and_halts_for_good():
    task = _task()
    step = jax.jit(lambda state, batch: train_step(task, state, batch))
    before = jax.jit(lambda: init_state(task, jax.random.key(0)))()
    bad = _batch()
    bad["signal"][0, 0, 0] = np.nan
    after, metrics = step(before, bad)
    assert metrics["non_finite"]
    still, metrics = step(after, _batch())
    assert metrics["non_finite"]
    for state in (after, still):
        assert state.step == 0
        jax.tree.map(np.testing.assert_array_equal, state.params, before.params)
        jax.tree.map(np.testing.assert_array_equal, state.opt_state, before.opt_state)


def test_windows_of_weight_0_do_not_count_in_an_evaluation():
    task = _task()
    params = jax.jit(lambda: init_state(task, jax.random.key(0)))().params
    measure = jax.jit(lambda batch: evaluation_step(task, params, batch, jax.random.key(0)))
    batch = _batch() | {"weight": np.array([1, 1, 1, 1, 1, 0, 0, 0], np.float32)}
    changed = {name: value.copy() for name, value in batch.items()}
    changed["signal"][5:] *= 3
    ours, theirs = jax.device_get((measure(batch), measure(changed)))
    assert ours["weight"] == 5
    for name in ours:
        assert ours[name] == pytest.approx(theirs[name], rel=1e-6)


def test_weight_decay_spares_biases_norms_positions_and_tokens():
    params = jax.eval_shape(lambda: init_state(_task(), jax.random.key(0))).params
    names = {
        "/".join(key.key for key in path): on
        for path, on in jax.tree_util.tree_leaves_with_path(weight_decay_mask(params))
    }
    assert names["encoder/stack/blocks/mlp/expand/kernel"]
    assert names["encoder/tokenizer/wavelet_projection/kernel"]
    spared = [name for name, on in names.items() if not on]
    assert {name.rsplit("/")[-1] for name in spared} == {
        "bias", "scale", "position", "mask_token", "embedding",
    }  # fmt: skip


def test_schedule_rises_to_the_peak_and_falls_to_the_end():
    config = OptimizerConfig(peak_learning_rate=1e-3, end_learning_rate=1e-5, warmup_steps=10)
    rate = learning_rate_schedule(config, 100)
    assert rate(0) == 0
    assert float(rate(5)) == pytest.approx(5e-4)
    assert float(rate(10)) == pytest.approx(1e-3)
    assert float(rate(55)) == pytest.approx((1e-3 + 1e-5) / 2)
    assert float(rate(100)) == pytest.approx(1e-5)
    with pytest.raises(ConfigError, match="warmup_steps=100"):
        learning_rate_schedule(OptimizerConfig(peak_learning_rate=1, warmup_steps=100), 100)


def test_batch_size_must_divide_over_devices_and_accumulation():
    check_batch_size(16, 2, 8)
    with pytest.raises(ConfigError, match=r"batch_size=12 .* 8 devices .* for example 16"):
        check_batch_size(12, 1, 8)


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
    task, mesh = _task(), make_mesh(2)
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


def test_stopped_by_a_signal_and_resumed_equals_uninterrupted(tmp_path, uninterrupted):
    def stop_at_3(step, batch):
        if step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(UserError, match=r"SIGTERM after step 3; the checkpoint is written"):
        train_and_evaluate(_run(tmp_path, stop_at_3))
    errors = train_and_evaluate(_run(tmp_path))
    _assert_as_uninterrupted(tmp_path, errors, uninterrupted)


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


def test_data_that_is_gone_is_told_in_one_line(tmp_path):
    def unplug_at_2(step, batch):
        if step == 2:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "/mnt/records/r1.npy")

    with pytest.raises(DataError, match=r"data of step 2 cannot be read.*No such file.*r1\.npy"):
        train_and_evaluate(_run(tmp_path, unplug_at_2))


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

"""Many runs below one folder: claimed, resumed, kept comparable, summed up."""

import dataclasses
import json
import multiprocessing
import stat
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from ml_collections import ConfigDict

from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.evaluation.calibration import fit_calibration
from physio_mae_jax.evaluation.fold_pooling import pool
from physio_mae_jax.evaluation.metric_sets import main_metric
from physio_mae_jax.evaluation.predictions import Predictions
from physio_mae_jax.evaluation.summary import ComparedRun, ComparedTrial, summarize_comparison
from physio_mae_jax.experiment.sweep import check_workers, record_settings
from physio_mae_jax.experiment.typed_config import ExperimentConfig
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
    def run(folder):
        with log.open("a") as file:
            file.write(folder.name + "\n")
        time.sleep(0.05)
        (folder / "done").touch()

    barrier.wait()
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


def settings_of(config):
    return ExperimentConfig(command="compare", settings=config.to_dict())


def test_settings_of_a_folder_may_grow_but_not_change(tmp_path):
    config = ConfigDict(
        {"models": "a", "a": {"rate": 1.0}, "b": {"rate": 1.0}, "data": {"x": (1, 2)}}
    )
    record_settings(settings_of(config), tmp_path, ("models", "b"))
    config.models = "a,b"
    config.b.rate = 2.0
    record_settings(settings_of(config), tmp_path, ("models",))
    config.a.rate = 3.0
    with pytest.raises(ConfigError, match=r"different values of a\.rate"):
        record_settings(settings_of(config), tmp_path, ("models",))
    assert json.loads((tmp_path / "settings.json").read_text())["a"] == {"rate": 1.0}


def test_no_workers_are_rejected():
    with pytest.raises(ConfigError, match="num_workers is 0"):
        check_workers(0)


def predictions(seed, kind="multilabel", instances=60, shift=1.0, name="u"):
    rng = np.random.default_rng(seed)
    if kind == "multiclass":
        targets = np.eye(3)[rng.integers(3, size=instances)]
    else:
        targets = (rng.random((instances, 3)) < 0.4).astype(float)
    return Predictions(
        kind=kind,
        classes=("a", "b", "c"),
        instance_ids=np.array([f"{name}{k}" for k in range(instances)]),
        subjects=np.array([f"{name}s{k // 2}" for k in range(instances)]),
        logits=rng.normal(size=(instances, 3)) * 3 + shift * targets,
        targets=targets,
        attributes={},
    )


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_pooled_folds_keep_probabilities_and_predictions(kind):
    folds = []
    for k in range(3):
        test = predictions(k, kind, name=f"fold{k}_")
        folds.append((test, fit_calibration(predictions(10 + k, kind))))
    pooled, calibration = pool(folds)
    assert pooled.num_instances == 180
    probabilities = calibration.probabilities(pooled.logits)
    position = 0
    for test, chosen in folds:
        part = slice(position, position := position + test.num_instances)
        np.testing.assert_allclose(
            probabilities[part], chosen.probabilities(test.logits), atol=1e-9
        )
        own = chosen.predict_classes(chosen.probabilities(test.logits))
        assert (calibration.predict_classes(probabilities)[part] == own).all()
    with pytest.raises(DataError, match="applies only to the pooled instances"):
        calibration.predict_classes(probabilities[:5])
    assert calibration.to_json() == {"kind": kind, "classes": ["a", "b", "c"], "num_folds": 3}


def test_folds_of_different_tasks_are_not_pooled():
    one, two = predictions(0), predictions(1, "multiclass")
    with pytest.raises(DataError, match="cannot be pooled"):
        pool([(one, fit_calibration(one)), (two, fit_calibration(two))])


def compared(row, seed, made, fraction=1.0):
    trial = ComparedTrial(row=row, fraction=fraction, seed=seed)
    return ComparedRun(trial=trial, predictions=made, metrics={"macro_f1": 0.1 * seed}, context={})


def with_logits_of(truth, seed, shift):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=truth.logits.shape) + shift * truth.targets
    return dataclasses.replace(truth, logits=logits)


def test_a_summary_averages_seeds_and_pairs_differences():
    truth = predictions(0)
    models = [
        *(compared("good", seed, with_logits_of(truth, seed, 3.0)) for seed in range(3)),
        *(compared("bad", seed, with_logits_of(truth, 10 + seed, 0.5)) for seed in range(3)),
        *(compared("twin", seed, with_logits_of(truth, seed, 3.0)) for seed in range(3)),
    ]
    good, bad, twin = summarize_comparison(models, num_resamples=200)
    ones = np.ones(truth.num_instances)
    values = [float(main_metric(m.predictions, ones)) for m in models[:3]]
    assert list(good.values.values()) == values
    assert good.mean.value == pytest.approx(np.mean(values))
    assert good.std == pytest.approx(np.std(values, ddof=1))
    assert good.more == {"macro_f1": pytest.approx(0.1)}
    assert good.difference is None
    assert bad.difference.value == pytest.approx(bad.mean.value - good.mean.value)
    assert bad.difference.high < 0
    assert (twin.difference.value, twin.difference.low, twin.difference.high) == (0, 0, 0)


def test_a_summary_rejects_other_units():
    one = compared("a", 0, predictions(0))
    other = compared("b", 0, predictions(1))
    with pytest.raises(DataError, match="differ in targets"):
        summarize_comparison([one, other], num_resamples=10)


def test_concurrent_starts_in_one_folder(tmp_path):
    """They write the same settings at the same moment, each by a name of its own."""
    config = ConfigDict({"seed": 0, "many": {str(number): number for number in range(2000)}})
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: record_settings(settings_of(config), tmp_path, ()), range(64)))
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]
    assert json.loads((tmp_path / "settings.json").read_text())["seed"] == 0

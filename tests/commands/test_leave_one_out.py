"""One subject excluded at a time, from configs to reports."""

import pytest

from configs import loso as loso_config
from physio_mae_jax.commands.leave_one_out import build_leave_one_out, leave_one_out
from physio_mae_jax.errors import ConfigError, DataError
from tests.commands.comparisons import on_waves
from tests.runs import read_json, typed


def leaving_out(root, **changes):
    config = loso_config.get_config("preset=debug")
    config.num_devices, config.ema_decay, config.labels.window_seconds = 1, 0.9, 3.0
    config.optimizer.peak_learning_rate, config.optimizer.warmup_steps = 3e-3, 5
    config.loop.num_steps = config.loop.log_every_steps = 60
    config.loop.evaluate_every_steps = config.loop.checkpoint_every_steps = 60
    return on_waves(config, root, **changes)


def test_each_subject_is_evaluated_by_a_model_that_never_saw_it(waves_root, tmp_path):
    config = leaving_out(waves_root, subjects="p0,p1", **{"labels.task": "state"})
    result = leave_one_out(build_leave_one_out(typed(config), tmp_path, strict=True))
    assert result.num_subjects == 2
    assert result.main.value > 0.8
    subjects = read_json(tmp_path / "subjects.json")
    assert list(subjects["subjects"]) == ["p0", "p1"]
    for name in subjects["subjects"]:
        split = read_json(tmp_path / name / "split.json")
        assert split["subjects"]["test"] == [f"waves:{name}"]
        assert f"waves:{name}" not in split["subjects"]["train"] + split["subjects"]["validation"]
    card = read_json(tmp_path / "evaluation.json")
    assert card["context"]["contamination"].startswith("contamination: none of 2 subjects")
    folds = [read_json(tmp_path / name / "evaluation.json") for name in subjects["subjects"]]
    instances = [fold["evaluations"]["test"]["num_instances"] for fold in folds]
    assert card["evaluations"]["test"]["num_instances"] == sum(instances)
    again = leave_one_out(build_leave_one_out(typed(config), tmp_path, strict=True))
    assert again.to_json() == result.to_json()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"subjects": "nobody"}, DataError, "subject 'nobody' has no label"),
        ({"validation_share": 1.5}, ConfigError, "validation_share is 1.5"),
        ({"data.sets": "a+b"}, ConfigError, "must name exactly one data set"),
    ],
)
def test_leave_one_out_rejects_invalid_settings(waves_root, tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        leave_one_out(
            build_leave_one_out(typed(leaving_out(waves_root, **changes)), tmp_path, strict=True)
        )

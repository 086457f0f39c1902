"""What a task of the suite trains, on the waves."""

import dataclasses

import pytest

from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.experiment.classifiers import EncoderInit
from physio_mae_jax.experiment.suite_plan import fit_window, plan_task
from tests.factories import tiny_model
from tests.runs import SPLIT, finetuning_config, typed

MODEL = tiny_model().config
ENCODER = EncoderInit(MODEL.sampling_rate_hz, MODEL.num_samples, MODEL, None)


def plan(root, task, rule=SPLIT, folds="", fractions=(0.1, 1.0)):
    config = typed(finetuning_config(root, **{"labels.task": task, "data.split_rule": rule}))
    return plan_task(config.data, config.labels, ENCODER, folds=folds, fractions=fractions)


def test_a_fraction_needs_two_subjects_a_class_on_average(waves_root):
    few = plan(waves_root, "wave", fractions=(0.1, 0.4, 1.0))
    assert (few.num_train_subjects, few.fractions) == (12, (0.4, 1.0))
    assert few.notes[0].startswith("10 % excluded: 1.2 of 12 training subjects for 2 classes")
    with pytest.raises(ConfigError, match="add 1"):
        plan(waves_root, "wave", fractions=(0.1,))


def test_a_class_without_training_subjects_in_a_fold_is_excluded(waves_root):
    # Class c is that of subject p0, which is tested in one of the folds.
    folded = plan(waves_root, "flags", folds="3")
    assert folded.classes == "a,b"
    assert folded.notes[0] == "Classes without training subjects in a fold: c."
    assert list(folded.split_rules) == ["fold_00", "fold_01", "fold_02"]
    assert plan(waves_root, "flags").classes == ""


def test_a_leaky_split_trains_on_all_subjects(waves_root):
    leaky = plan(waves_root, "wave", rule="leaky=|0.2|0.2")
    assert (leaky.num_train_subjects, list(leaky.split_rules)) == (24, ["split"])


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("subject=|p0,p2|p4", "validation of split .* has one class only"),
        ("subject=p0,p2|p1|p3", "has 0 classes with training subjects"),
        ("fold=1-3|4|", "leaves no labeled recordings for test"),
    ],
)
def test_what_cannot_be_trained_is_said_before_anything_is(waves_root, rule, message):
    with pytest.raises(DataError, match=message):
        plan(waves_root, "wave", rule=rule)


def test_a_window_fits_the_recordings_in_whole_columns():
    assert fit_window(ENCODER, 0.0) == fit_window(ENCODER, 4.0) == 0.0
    assert fit_window(ENCODER, 3.1) == pytest.approx(3.0)
    long = dataclasses.replace(MODEL, num_samples=3000, patch_samples=30)
    assert fit_window(EncoderInit(100.0, 3000, long, None), 10.0) == pytest.approx(9.9)
    with pytest.raises(ConfigError, match="a column of the encoder takes"):
        fit_window(ENCODER, 0.1)

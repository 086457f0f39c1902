"""Folds of a cross-validation are split rules."""

import pytest

from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.experiment.subject_folds import fold_rules, one_subject_rule


def test_folds_are_one_split_a_number_or_one_per_subject():
    subjects = ["S02", "S03", "S05"]
    assert fold_rules("", "fold=1|2|3", subjects, 0.2) == ["fold=1|2|3"]
    assert fold_rules("3", "none", subjects, 0.2) == ["kfold=3:0", "kfold=3:1", "kfold=3:2"]
    excluded = fold_rules("subjects", "none", subjects, 0.25)
    assert excluded == ["subject=|0.25|S02", "subject=|0.25|S03", "subject=|0.25|S05"]


@pytest.mark.parametrize("folds", ["2", "0", "many", "-3", "3.0"])
def test_other_folds_are_rejected(folds):
    with pytest.raises(ConfigError, match=f"folds is '{folds}'"):
        fold_rules(folds, "none", ["a", "b", "c"], 0.2)


@pytest.mark.parametrize("subject", ["1-3", "0.5", "a b", "a|b"])
def test_a_subject_that_a_rule_would_read_otherwise_is_rejected(subject):
    with pytest.raises(DataError, match="cannot be written in a split rule"):
        one_subject_rule(subject, 0.2)


def test_leaving_one_out_needs_three():
    with pytest.raises(DataError, match="at least 3 subjects"):
        fold_rules("subjects", "none", ["a", "b"], 0.2)

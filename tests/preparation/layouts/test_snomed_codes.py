"""Codes of diagnoses: scored and unscored ones are disjoint, and equal ones share a class."""

from physio_mae_jax.preparation.layouts.snomed_codes import (
    SCORED,
    SCORED_CLASSES,
    UNSCORED,
    UNSCORED_CLASSES,
)


def test_no_code_is_both_scored_and_unscored():
    assert not set(SCORED) & set(UNSCORED)
    assert not set(SCORED_CLASSES) & set(UNSCORED_CLASSES)


def test_codes_that_are_scored_as_one_share_a_class():
    pairs = (("713427006", "59118001"), ("733534002", "164909002"), ("63593006", "284470004"))
    for one, other in pairs:
        assert SCORED[one] == SCORED[other]
    assert SCORED["164889003"] == "AF"
    assert len(SCORED_CLASSES) == len(SCORED) - 4

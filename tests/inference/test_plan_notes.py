"""Notes of a plan say which names were read as others, and which order the model takes."""

from physio_mae_jax.inference.plan_notes import renaming, reordering


def test_names_read_as_others_are_listed():
    assert renaming(["II", "v1"]) == ""
    assert renaming(["MLII", "PLETH", "I"]) == "MLII is II, PLETH is PPG"


def test_another_order_is_listed():
    assert reordering(["I", "II"], ["I", "II", "V1"]) == ""
    assert reordering(["V1", "MLII", "snore"], ["II", "V1"]) == "V1, II -> II, V1"

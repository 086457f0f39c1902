"""Differences of settings are found and formatted."""

from physio_mae_jax.experiment.config_diff import find_differences, format_names


def test_find_differences_and_format_names():
    before = {"a": 1, "b": {"c": [1, 2], "d": 2}}
    assert find_differences(before, {"a": 1, "b": {"c": [1], "e": 0}}) == ["b.c", "b.d"]
    assert find_differences(before, before) == []
    assert format_names([f"s{number}" for number in range(7)]) == "s0, s1, s2, s3, s4 and 2 more"

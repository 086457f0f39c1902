"""Lists of problems are of bounded length, whatever they list."""

from physio_mae_jax.data.listing import list_problems


def test_the_first_problems_are_detailed_and_the_others_named():
    text = str(list_problems((f"r{k}", f"r{k} is broken") for k in range(53)))
    lines = text.splitlines()
    assert lines[0] == "  r0 is broken"
    assert len(lines) == 51
    assert lines[-1] == "  ... and 3 more: r50, r51, r52"


def test_long_and_many_problems_are_shortened():
    (line,) = str(list_problems([("r", "x" * 5000)])).splitlines()
    assert len(line) < 700
    assert str(list_problems([("r", "")] * 5000)).endswith(", ...")

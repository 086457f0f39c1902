"""``prepare --list`` names every data set with its variants, source, license, tasks and classes."""

import re

import pytest

from physio_mae_jax import prepare
from physio_mae_jax.preparation.data_set_list import describe_data_sets
from physio_mae_jax.preparation.registry import LAYOUTS, get_layout, training_defaults


def paragraphs():
    """Return the paragraph of each data set, its line breaks removed."""
    *parts, _ = describe_data_sets().split("\n\n")
    return {part.partition(":")[0]: re.sub(r"\s+", " ", part) for part in parts}


def test_every_data_set_is_listed_in_order():
    assert list(paragraphs()) == list(LAYOUTS)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_paragraph_has_what_the_layouts_state(name):
    text = paragraphs()[name]
    for variant in LAYOUTS[name]:
        full = f"{name}/{variant}" if variant else name
        layout = get_layout(full)
        assert full in text
        assert layout.license in text
        assert (layout.download or layout.homepage) in text
        for task in layout.tasks:
            assert f"{', '.join(task.classes)}" in text
    first = next(iter(LAYOUTS[name]))
    assert f"{name}/{first} (default)" in text or f"{name} (default)" in text
    default = training_defaults(name).task
    assert default == "" or f"{default} (default): " in text


def test_what_variants_share_is_listed_once_and_else_by_variant():
    text = describe_data_sets()
    assert "  license    CC BY 4.0\n" in text
    assert "[cinc2011/flac] a collected copy, which is not published" in text
    assert "[mimic3/waveform] none" in text
    assert "bidmc/csv]" not in text


def test_lines_fit_a_terminal_but_urls_stay_whole():
    lines = describe_data_sets().splitlines()
    assert all(len(line) <= 100 for line in lines if "://" not in line)


def test_the_flag_needs_nothing_else(capsys):
    with pytest.raises(SystemExit) as stopped:
        prepare.main(["--list"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == describe_data_sets() + "\n"
    with pytest.raises(SystemExit) as stopped:
        prepare.main([])
    assert stopped.value.code == 2

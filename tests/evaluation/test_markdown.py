"""Markdown of names is of one line and harmless."""

import pytest

from physio_mae_jax.evaluation.markdown import escape, escape_name, facts
from tests.hostile_names import NASTY, is_harmless


@pytest.mark.parametrize("name", NASTY)
def test_markdown_is_of_one_line_and_harmless(name):
    for text in (escape(name), escape_name(name), facts({name: [name, {name: 1}]})):
        assert is_harmless(text)
        assert "\n" not in text

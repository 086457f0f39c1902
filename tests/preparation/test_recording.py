"""Layouts are picklable, name themselves, and reject an empty folder."""

import pickle

import pytest

from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.registry import LAYOUTS, get_layout

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")


@pytest.mark.parametrize("name", [f"{n}/{v}" for n, variants in LAYOUTS.items() for v in variants])
def test_layouts_are_picklable_and_name_themselves(name):
    layout = get_layout(name.rstrip("/"))
    assert pickle.loads(pickle.dumps(layout)) == layout
    assert layout.name + (f"/{layout.variant}" if layout.variant else "") == name.rstrip("/")
    assert layout.description
    assert layout.citation
    assert layout.license


@pytest.mark.parametrize("name", [f"{n}/{v}" for n, variants in LAYOUTS.items() for v in variants])
def test_an_empty_folder_is_rejected_by_every_layout(name, tmp_path):
    with pytest.raises(DataError, match=str(tmp_path)):
        get_layout(name.rstrip("/")).find(tmp_path)

"""A small PTB-XL to prepare, which no test changes."""

import pytest

from tests.preparation.ptbxl_source import make_source


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    return make_source(tmp_path_factory.mktemp("raw") / "ptbxl")

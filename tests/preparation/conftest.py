"""A small PTB-XL to prepare, which no test changes, and a web site that serves files."""

from collections.abc import Iterator

import pytest

from physio_mae_jax.preparation import download
from tests.preparation.ptbxl_source import make_source
from tests.preparation.web_site import FILES, Quoting, Site


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    return make_source(tmp_path_factory.mktemp("raw") / "ptbxl")


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry at once, and without a proxy."""
    monkeypatch.setattr(download, "PAUSES_S", (0.0,) * 5)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def site() -> Iterator[Site]:
    """A web site of ``FILES``."""
    site = Quoting(FILES)
    yield site
    site.close()

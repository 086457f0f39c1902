"""Tables with a column of times, and their rate."""

from pathlib import Path
from typing import Any

import pytest

from physio_mae_jax.data.formats.folder import open_folder
from tests.tables import noise

BOTH = pytest.mark.parametrize("kind", ["csv", "parquet"])


def rate_of(folder: Path) -> float:
    (info,) = open_folder(folder).recordings
    return info.sampling_rate_hz


def signals(times: Any, name: str = "time", channel: str = "II") -> dict[str, Any]:
    return {name: times, channel: noise()}

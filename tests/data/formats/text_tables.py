"""Text tables of two channels, and reading them."""

from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.folder import open_folder
from tests.folders import whole
from tests.tables import noise, times_s

SIGNAL = np.float32([noise(), noise(1)])


def lines(delimiter: str = ",", decimal: str = ".", rate_hz: float = 125.0) -> str:
    rows = zip(times_s(rate_hz=rate_hz), noise(), noise(1), strict=True)
    texts = ([f"{value:.4f}".replace(".", decimal) for value in row] for row in rows)
    return "\n".join(delimiter.join(row) for row in texts) + "\n"


def assert_read(folder: Path, rate_hz: float = 125.0) -> None:
    source = open_folder(folder)
    (info,) = source.recordings
    assert (info.channel_names, info.sampling_rate_hz) == (("II", "PPG"), rate_hz)
    np.testing.assert_allclose(whole(source), SIGNAL, atol=1e-6)

"""WFDB records of random bytes, and what wfdb reads of them."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from physio_mae_jax.data.formats.folder import FolderSource

with warnings.catch_warnings():
    # wfdb 4.3 calls pandas 3.1 with a keyword that it deprecates.
    warnings.filterwarnings("ignore", message="The inplace keyword")
    import wfdb

BYTES_OF_FORMATS = {
    8: 1,
    16: 2,
    24: 3,
    32: 4,
    61: 2,
    80: 1,
    160: 2,
    212: 1.5,
    310: 4 / 3,
    311: 4 / 3,
}
FRAMES = 61
RATE_HZ = 50


def write_bytes(
    folder: Path, fmt: int, counts: Sequence[int], extra: str = "", length: int | None = FRAMES
) -> None:
    """Write a record of random bytes, with so many samples of each signal in a frame."""
    rng = np.random.default_rng(fmt)
    size = int(np.ceil(FRAMES * sum(counts) * BYTES_OF_FORMATS[fmt])) + 4
    data = rng.integers(0, 256, size, np.uint8)
    if fmt == 311:
        data[3::4] &= 0x3F  # The two highest bits of four bytes are not used.
    (folder / "r.dat").write_bytes(data.tobytes())
    head = f"r {len(counts)} {RATE_HZ}" + ("" if length is None else f" {length}")
    lines = [
        f"r.dat {fmt}{f'x{count}' if count > 1 else ''}{extra} 150.5(7)/mV 12 0 -3 0 0 RESP {i}"
        for i, count in enumerate(counts)
    ]
    (folder / "r.hea").write_text("\n".join([head, *lines, ""]))


def by_wfdb(folder: Path, name: str = "r", **options: Any) -> list[np.ndarray]:
    """Return what wfdb reads: float32 of each signal at its own rate."""
    record: Any = wfdb.rdrecord(str(folder / name), smooth_frames=False, **options)
    return [np.asarray(values, np.float32) for values in record.e_p_signal]


def assert_stretches(source: FolderSource, expected: np.ndarray, count: int = 40) -> None:
    rng = np.random.default_rng(0)
    for _ in range(count):
        start, stop = sorted(rng.integers(0, expected.shape[1] + 1, 2).tolist())
        np.testing.assert_array_equal(source.read(0, start, stop), expected[:, start:stop])

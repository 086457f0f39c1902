"""EDF and BDF files of which every field is given."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from physio_mae_jax.data.formats.folder import FolderSource, open_folder


class Channel(NamedTuple):
    """A channel to be written: samples [records, n] and header fields as they stand there."""

    digital: np.ndarray
    label: str = "RESP"
    unit: bytes = b"mV"
    physical: tuple[str, str] = ("-10", "10")
    limits: tuple[str, str] = ("-32768", "32767")


def edf_bytes(
    channels: Sequence[Channel],
    *,
    seconds: str = "1",
    num_records: str | None = None,
    magic: bytes = b"0",
    reserved: bytes = b"",
) -> bytes:
    """Write a file of which every field is given; 24 bits a sample with the magic of BDF."""
    count, records = len(channels), len(channels[0].digital)
    fixed = (
        (magic, 8), (b"patient", 80), (b"recording", 80), (b"01.02.03", 8), (b"04.05.06", 8),
        (str(256 * (count + 1)).encode(), 8), (reserved, 44),
        (str(records if num_records is None else num_records).encode(), 8),
        (seconds.encode(), 8), (str(count).encode(), 4),
    )  # fmt: skip
    per_channel = (
        ([c.label.encode("latin-1") for c in channels], 16),
        ([b""] * count, 80),
        ([c.unit for c in channels], 8),
        *([[c.physical[i].encode() for c in channels], 8] for i in (0, 1)),
        *([[c.limits[i].encode() for c in channels], 8] for i in (0, 1)),
        ([b""] * count, 80),
        ([str(c.digital.shape[1]).encode() for c in channels], 8),
        ([b""] * count, 32),
    )
    header = b"".join(value.ljust(width) for value, width in fixed)
    header += b"".join(value.ljust(width) for values, width in per_channel for value in values)
    samples = np.concatenate([c.digital for c in channels], axis=1)
    if magic == b"0":
        return header + samples.astype("<i2").tobytes()
    return header + b"".join(struct.pack("<i", v)[:3] for v in samples.ravel().tolist())


def channel(samples: int, records: int = 20, bits: int = 16, **fields: Any) -> Channel:
    rng = np.random.default_rng(samples)
    limit = 2 ** (bits - 1)
    return Channel(rng.integers(-limit, limit, (records, samples)), **fields)


def opened(folder: Path, data: bytes, name: str = "a.edf", **options: Any) -> FolderSource:
    (folder / name).write_bytes(data)
    return open_folder(folder, **options)


def clock(times: Sequence[str], label: str = "EDF Annotations") -> Channel:
    """Make a channel of annotations that says when each data record begins."""
    texts = [f"+{time}\x14\x14\0".encode().ljust(20, b"\0") for time in times]
    return Channel(np.stack([np.frombuffer(text, "<i2") for text in texts]), label)

"""Hashes of subjects and of what was recorded, by which training data is recognised later.

A subject's hash says who; block hashes say what: each channel is cut into blocks of ten seconds
from its first sample, and the samples of each are hashed as they are. So a recording is recognised
under another name, in another file, with other channels beside it or for another supposed subject,
as long as its samples and their start are the same. A copy that was resampled, filtered, rescaled
or cut elsewhere is recognised by its subject only.
"""

import hashlib

import numpy as np

BLOCK_SECONDS = 10.0
_BYTES = 8


def subject_hash(data_set: str, subject_id: str) -> int:
    """Hash a person's id within the data set that gave it."""
    return _hash(f"{data_set}\0{subject_id}".encode())


def block_hashes(signal: np.ndarray, sampling_rate_hz: float) -> list[int]:
    """Hash each block of each channel.

    Args:
        signal: [M, n] float32. Of a recording shorter than a block the whole is one.
        sampling_rate_hz: samples a second.

    Returns:
        At most M · max(1, n // block) hashes, channel by channel; blocks that are constant or
        hold samples that are not finite are left out, for they would equal those of others.
    """
    length = min(signal.shape[1], round(BLOCK_SECONDS * sampling_rate_hz))
    if length < 2:
        return []
    hashes = []
    for values in np.ascontiguousarray(signal, np.float32):
        for start in range(0, len(values) - length + 1, length):
            block = values[start : start + length]
            if np.isfinite(block).all() and block.min() < block.max():
                hashes.append(_hash(block.astype("<f4").tobytes()))
    return hashes


def identity_hash(description: str) -> int:
    """Hash the description of a recording that is made rather than recorded."""
    return _hash(description.encode())


def text_hash(text: str) -> str:
    """Return a short hash of a text, for files that name other files."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _hash(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=_BYTES).digest(), "big")

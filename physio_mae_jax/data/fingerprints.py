"""Hashes of subjects and samples, which identify training data.

Subject hashes identify subjects. Block hashes identify samples: each channel is divided into blocks
of ten seconds from its first sample, and the unmodified samples of each block are hashed. A
recording is thus recognized under another name, file, channel selection or subject id if its
samples and its start are the same. A copy that was resampled, filtered, rescaled or cropped
differently is recognized by its subject only.
"""

import hashlib

import numpy as np

BLOCK_SECONDS = 10.0
# Range of a block relative to its values, below which it is constant but for rounding errors.
_CONSTANT = 1e-6
_BYTES = 8


def subject_hash(data_set: str, subject_id: str) -> int:
    """Hash a subject id within its data set."""
    return _hash(f"{data_set}\0{subject_id}".encode())


def block_hashes(signal: np.ndarray, sampling_rate_hz: float) -> list[int]:
    """Hash each block of each channel.

    Args:
        signal: [M, n] float32; a recording shorter than a block is one block.
        sampling_rate_hz: Sampling rate in Hz.

    Returns:
        At most M · max(1, n // block) hashes, channel by channel; blocks that
        are constant but for rounding errors, such as those of a device at rest that was resampled,
        and blocks with non-finite samples are skipped, as they would match unrelated recordings.
    """
    length = min(signal.shape[1], round(BLOCK_SECONDS * sampling_rate_hz))
    if length < 2:
        return []
    hashes = []
    for values in np.ascontiguousarray(signal, np.float32):
        for start in range(0, len(values) - length + 1, length):
            block = values[start : start + length]
            if np.isfinite(block).all() and _varies(block):
                hashes.append(_hash(block.astype("<f4").tobytes()))
    return hashes


def _varies(block: np.ndarray) -> bool:
    low, high = float(block.min()), float(block.max())
    return high - low > _CONSTANT * max(abs(low), abs(high))


def identity_hash(description: str) -> int:
    """Hash the description of a simulated recording."""
    return _hash(description.encode())


def text_hash(text: str) -> str:
    """Return a short hash of a text, for file names and references."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _hash(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=_BYTES).digest(), "big")

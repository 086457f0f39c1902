"""Hashes of training data, and detection of overlap with an evaluation.

Hashes contain no names and no samples, so they can be published with a model even if its data
cannot.
"""

import base64
import dataclasses
import logging
from collections.abc import Iterable, Sequence
from typing import Protocol, TypedDict, runtime_checkable

import numpy as np

from physio_mae_jax.data.fingerprints import block_hashes, subject_hash
from physio_mae_jax.data.json_types import check_types
from physio_mae_jax.data.source import SignalSource
from physio_mae_jax.errors import DataError
from physio_mae_jax.types import JsonObject

_LOG = logging.getLogger(__name__)
_SHOWN = 5


@runtime_checkable
class HasBlockHashes(Protocol):
    """A source that knows the hashes of its recordings without reading them."""

    def block_hashes(self, index: int) -> Sequence[int]:
        """Return ``data.fingerprints.block_hashes`` of a recording."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingProvenance:
    """Hashes of training data.

    Attributes:
        subjects: [n] uint64 values of ``fingerprints.subject_hash``, sorted.
        blocks: [k] uint64 values of ``fingerprints.block_hashes``, sorted.
        is_complete: False if the training data is unknown or known only in part.
    """

    subjects: np.ndarray
    blocks: np.ndarray
    is_complete: bool = True

    @classmethod
    def unknown(cls) -> "TrainingProvenance":
        """Return the provenance of a model whose training data is unknown."""
        return cls(_to_uint64(()), _to_uint64(()), is_complete=False)

    @classmethod
    def from_recordings(cls, source: SignalSource, indices: Sequence[int]) -> "TrainingProvenance":
        """Hash recordings of a source, reading those whose hashes are not stored."""
        return cls(
            _unique_hashes(_hash_subject(source, index) for index in indices),
            _unique_hashes(value for index in indices for value in get_block_hashes(source, index)),
        )

    def merge(self, other: "TrainingProvenance") -> "TrainingProvenance":
        """Return the union of both, for a model that is trained further."""
        return TrainingProvenance(
            np.union1d(self.subjects, other.subjects),
            np.union1d(self.blocks, other.blocks),
            self.is_complete and other.is_complete,
        )

    def to_json(self) -> JsonObject:
        """Return the hashes as base64 text, eight bytes per hash."""
        texts = {
            name: base64.b64encode(getattr(self, name).astype("<u8").tobytes()).decode()
            for name in ("subjects", "blocks")
        }
        return {**texts, "is_complete": self.is_complete}

    @classmethod
    def from_json(cls, content: object, where: str, hint: str) -> "TrainingProvenance":
        """Inverse of ``to_json``.

        Without hashes it is unknown whether there was training data: the result is marked as
        incomplete.

        Args:
            content: Decoded JSON.
            where, hint: Texts for the error, see ``json_types.check_types``.

        Raises:
            DataError: the content is not what ``to_json`` writes.
        """
        stored = check_types(_Stored, content, where, hint)
        subjects, blocks = (
            _decode_hashes(stored[name], f"{where}: {name}", hint)
            for name in ("subjects", "blocks")
        )
        known = stored["is_complete"] and len(subjects) > 0 and len(blocks) > 0
        return cls(subjects, blocks, known)


class _Stored(TypedDict):
    """JSON form of ``TrainingProvenance``: base64 of ascending 64-bit hashes."""

    subjects: str
    blocks: str
    is_complete: bool


def _decode_hashes(text: str, where: str, hint: str) -> np.ndarray:
    try:
        content = base64.b64decode(text, validate=True)
        hashes = np.frombuffer(content, "<u8").astype(np.uint64)
    except ValueError as error:
        raise DataError(f"{where} must be hashes in base64 ({error}); {hint}") from error
    if (hashes[1:] <= hashes[:-1]).any():
        raise DataError(f"{where} must be ascending hashes; {hint}")
    return hashes


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContaminationReport:
    """Overlap of an evaluation with training data.

    Attributes:
        num_recordings, num_subjects: Number of evaluated recordings and subjects.
        subjects: Keys of evaluated subjects in the training data.
        recordings: Ids of evaluated recordings with a block of samples in the training data.
        is_complete: False if there may be unknown training data.
    """

    num_recordings: int
    num_subjects: int
    subjects: tuple[str, ...]
    recordings: tuple[str, ...]
    is_complete: bool = True

    @property
    def is_uncontaminated(self) -> bool:
        """True if none of the evaluation data is known to be in the complete training data."""
        return self.is_complete and not self.subjects and not self.recordings

    def format_line(self) -> str:
        """Format the report as one line."""
        if self.is_uncontaminated:
            return (
                f"contamination: none of {self.num_subjects} subjects and {self.num_recordings} "
                "recordings was trained on."
            )
        if not self.subjects and not self.recordings:
            return (
                "CONTAMINATION UNKNOWN: the model's training data is not recorded, or not "
                f"completely; it may have seen these {self.num_subjects} subjects."
            )
        return (
            f"CONTAMINATION: {len(self.subjects)} of {self.num_subjects} subjects"
            f"{_abbreviate(self.subjects)} and the samples of {len(self.recordings)} of "
            f"{self.num_recordings} recordings{_abbreviate(self.recordings)} were trained on; "
            "these metrics say little about new subjects."
        )

    def to_json(self) -> JsonObject:
        """Return the JSON content of the report."""
        return dataclasses.asdict(self) | {"line": self.format_line()}


def check_contamination(
    trained_on: TrainingProvenance, source: SignalSource, indices: Sequence[int], *, strict: bool
) -> ContaminationReport:
    """Search the recordings of an evaluation for training data, and log the result.

    Args:
        trained_on: Provenance of the model's training data.
        source: Source of the recordings.
        indices: Indices of the recordings to evaluate.
        strict: Raise an error instead of logging a warning.

    Raises:
        DataError: ``strict``, and there is an overlap or the training data is not fully known.
    """
    infos = source.recordings
    subjects = {infos[i].subject_key: _hash_subject(source, i) for i in indices}
    known = np.isin(_to_uint64(subjects.values()), trained_on.subjects)
    report = ContaminationReport(
        num_recordings=len(indices),
        num_subjects=len(subjects),
        subjects=tuple(key for key, hit in zip(subjects, known, strict=True) if hit),
        recordings=tuple(
            infos[i].record_id
            for i in indices
            if np.isin(_to_uint64(get_block_hashes(source, i)), trained_on.blocks).any()
        ),
        is_complete=trained_on.is_complete,
    )
    if report.is_uncontaminated:
        _LOG.info("%s", report.format_line())
    elif strict:
        raise DataError(
            f"{report.format_line()} Evaluate on other recordings, or omit --strict to continue "
            "with this warning in every report."
        )
    else:
        _LOG.warning("%s", report.format_line())
    return report


def _hash_subject(source: SignalSource, index: int) -> int:
    info = source.recordings[index]
    return subject_hash(info.data_set, info.subject_id)


def get_block_hashes(source: SignalSource, index: int) -> Sequence[int]:
    """Return the block hashes of a recording, reading it if the source has none stored."""
    if isinstance(source, HasBlockHashes):
        return source.block_hashes(index)
    info = source.recordings[index]
    return block_hashes(source.read(index, 0, info.num_samples), info.sampling_rate_hz)


def _to_uint64(values: Iterable[int]) -> np.ndarray:
    return np.fromiter(values, np.uint64)


def _unique_hashes(values: Iterable[int]) -> np.ndarray:
    return np.unique(_to_uint64(values))


def _abbreviate(names: Sequence[str]) -> str:
    more = ", …" if len(names) > _SHOWN else ""
    return f" ({', '.join(names[:_SHOWN])}{more})" if names else ""

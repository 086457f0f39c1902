"""Hashes of a model's training data, and whether an evaluation uses any of it.

Hashes contain no names and no samples, so they can be published with a model whose data cannot.
"""

import base64
import dataclasses
import logging
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypedDict, runtime_checkable

import numpy as np

from physio_mae_jax.data.fingerprints import block_hashes, subject_hash
from physio_mae_jax.data.json_types import typed
from physio_mae_jax.data.source import SignalSource
from physio_mae_jax.errors import DataError

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
        """Return the record of a model whose training data is unknown."""
        return cls(_array(()), _array(()), is_complete=False)

    @classmethod
    def of(cls, source: SignalSource, indices: Sequence[int]) -> "TrainingProvenance":
        """Hash recordings of a source, reading those whose hashes are not stored."""
        return cls(
            _sorted(_subject(source, index) for index in indices),
            _sorted(value for index in indices for value in hashes_of(source, index)),
        )

    def joined(self, other: "TrainingProvenance") -> "TrainingProvenance":
        """Return the union of both records, for a model that is trained further."""
        return TrainingProvenance(
            np.union1d(self.subjects, other.subjects),
            np.union1d(self.blocks, other.blocks),
            self.is_complete and other.is_complete,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the hashes as base64 text, eight bytes per hash."""
        texts = {
            name: base64.b64encode(getattr(self, name).astype("<u8").tobytes()).decode()
            for name in ("subjects", "blocks")
        }
        return {**texts, "is_complete": self.is_complete}

    @classmethod
    def from_json(cls, content: Any, where: str, hint: str) -> "TrainingProvenance":
        """Invert ``to_json``.

        A record without hashes does not prove that there was no training data: it counts as
        incomplete.

        Args:
            content: Decoded JSON.
            where, hint: Texts for the error, see ``json_types.typed``.

        Raises:
            DataError: the content is not what ``to_json`` writes.
        """
        stored = typed(_Stored, content, where, hint)
        subjects, blocks = (
            _decoded(stored[name], f"{where}: {name}", hint) for name in ("subjects", "blocks")
        )
        known = stored["is_complete"] and len(subjects) > 0 and len(blocks) > 0
        return cls(subjects, blocks, known)


class _Stored(TypedDict):
    """Stored form of a training record: base64 of ascending 64-bit hashes."""

    subjects: str
    blocks: str
    is_complete: bool


def _decoded(text: str, where: str, hint: str) -> np.ndarray:
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
    def is_clean(self) -> bool:
        """True if it is known that none of the evaluation data was trained on."""
        return self.is_complete and not self.subjects and not self.recordings

    def line(self) -> str:
        """Format the report on one line."""
        if self.is_clean:
            return (
                f"contamination: none of {self.num_subjects} subjects and {self.num_recordings} "
                "recordings was trained on."
            )
        if not self.subjects and not self.recordings:
            return (
                "CONTAMINATION NOT KNOWN: the model's training data is not recorded, or not "
                f"completely; it may have seen these {self.num_subjects} subjects."
            )
        return (
            f"CONTAMINATION: {len(self.subjects)} of {self.num_subjects} subjects"
            f"{_abbreviated(self.subjects)} and the samples of {len(self.recordings)} of "
            f"{self.num_recordings} recordings{_abbreviated(self.recordings)} were trained on; "
            "these metrics say little about new subjects."
        )

    def to_json(self) -> dict[str, Any]:
        """Return the report for a file."""
        return dataclasses.asdict(self) | {"line": self.line()}


def check_contamination(
    trained_on: TrainingProvenance, source: SignalSource, indices: Sequence[int], *, strict: bool
) -> ContaminationReport:
    """Search the recordings of an evaluation for training data, and log the result.

    Args:
        trained_on: Training record of the model.
        source: Source of the recordings.
        indices: Indices of the recordings to evaluate.
        strict: Raise an error instead of logging a warning.

    Raises:
        DataError: ``strict``, and there is an overlap or the training data is not fully known.
    """
    infos = source.recordings
    subjects = {infos[i].subject_key: _subject(source, i) for i in indices}
    known = np.isin(_array(subjects.values()), trained_on.subjects)
    report = ContaminationReport(
        num_recordings=len(indices),
        num_subjects=len(subjects),
        subjects=tuple(key for key, hit in zip(subjects, known, strict=True) if hit),
        recordings=tuple(
            infos[i].record_id
            for i in indices
            if np.isin(_array(hashes_of(source, i)), trained_on.blocks).any()
        ),
        is_complete=trained_on.is_complete,
    )
    if report.is_clean:
        _LOG.info("%s", report.line())
    elif strict:
        raise DataError(
            f"{report.line()} Evaluate on other recordings, or omit --strict to continue with this "
            "warning in every report."
        )
    else:
        _LOG.warning("%s", report.line())
    return report


def _subject(source: SignalSource, index: int) -> int:
    info = source.recordings[index]
    return subject_hash(info.data_set, info.subject_id)


def hashes_of(source: SignalSource, index: int) -> Sequence[int]:
    """Return the block hashes of a recording, reading it if the source has none stored."""
    if isinstance(source, HasBlockHashes):
        return source.block_hashes(index)
    info = source.recordings[index]
    return block_hashes(source.read(index, 0, info.num_samples), info.sampling_rate_hz)


def _array(values: Iterable[int]) -> np.ndarray:
    return np.fromiter(values, np.uint64)


def _sorted(values: Iterable[int]) -> np.ndarray:
    return np.unique(_array(values))


def _abbreviated(names: Sequence[str]) -> str:
    more = ", …" if len(names) > _SHOWN else ""
    return f" ({', '.join(names[:_SHOWN])}{more})" if names else ""

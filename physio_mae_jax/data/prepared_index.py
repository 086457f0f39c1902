"""The index of a prepared data set: one JSON line for each recording, and what they share.

``contract.json`` beside it says what all recordings have in common, ``recordings.jsonl`` describes
each; the samples lie in the array_record files. Both are written by ``preparation``.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from physio_mae_jax.errors import DataError

CONTRACT_FILE = "contract.json"
INDEX_FILE = "recordings.jsonl"
SPLIT_NAME = "recordings"
FORMAT = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparedRecord:
    """What is known of a prepared recording without reading its samples.

    Attributes:
        record_id, subject_id: of the recording.
        first_example, num_examples: the stretch of the data set that holds it.
        segment_samples: samples of each example but the last.
        num_samples, sampling_rate_hz: of the signal.
        channels, units: [M].
        labels: indices of the classes that hold, for each task of level 'recording'.
        marks: [start, stop, label] for each task of level 'event' or 'interval'.
        attributes: age, sex, fold and whatever else the source says.
        findings: of ``signals.quality``: kind, channel, runs, detail.
        conversions: what was done to the samples.
        block_hashes: of ``data.fingerprints``.
    """

    record_id: str
    subject_id: str
    first_example: int
    num_examples: int
    segment_samples: int
    num_samples: int
    sampling_rate_hz: float
    channels: tuple[str, ...]
    units: tuple[str, ...]
    labels: Mapping[str, Sequence[int]]
    marks: Mapping[str, Sequence[Sequence[int]]]
    attributes: Mapping[str, Any]
    findings: Sequence[Mapping[str, Any]]
    conversions: Sequence[str]
    block_hashes: Sequence[int]

    def to_json(self) -> dict[str, Any]:
        """Return the content of a line of ``recordings.jsonl``."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "PreparedRecord":
        """Invert ``to_json``."""
        names = {"channels": tuple(values["channels"]), "units": tuple(values["units"])}
        return cls(**{**values, **names})


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparedContract:
    """What the recordings of a prepared data set have in common.

    Attributes:
        name, variant, version: of the data set.
        channels: every channel that some recording has -> its unit.
        sampling_rates_hz: of the recordings, ascending.
        tasks: 'name', 'classes', 'level', 'exclusive', 'description' of each.
        filters: what was done to the samples before they came here, as far as is known.
        num_recordings, num_subjects: of the data set.
        content_hash: over ids and samples; equal for equal data.
        license, homepage, citation: of the source.
        format: of these files.
    """

    name: str
    variant: str
    version: str
    channels: Mapping[str, str]
    sampling_rates_hz: Sequence[float]
    tasks: Sequence[Mapping[str, Any]]
    filters: str
    num_recordings: int
    num_subjects: int
    content_hash: str
    license: str
    homepage: str
    citation: str
    format: int = FORMAT

    def task(self, name: str) -> Mapping[str, Any]:
        """Return a task by its name.

        Raises:
            DataError: there is no such task.
        """
        for task in self.tasks:
            if task["name"] == name:
                return task
        known = ", ".join(task["name"] for task in self.tasks) or "none"
        raise DataError(f"data set {self.name!r} has no task {name!r}; it has {known}.")


def read_contract(folder: Path) -> PreparedContract:
    """Read the contract of a prepared data set.

    Raises:
        DataError: the folder holds none, or one of another format.
    """
    path = folder / CONTRACT_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise DataError(
                f"{path} has format {values['format']}, this program reads {FORMAT}; prepare the "
                "data set again with --overwrite."
            )
        return PreparedContract(**values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _broken(path, error) from error


def read_index(folder: Path) -> list[PreparedRecord]:
    """Read the index of a prepared data set.

    Raises:
        DataError: the folder holds none, or a broken one.
    """
    path = folder / INDEX_FILE
    try:
        with path.open(encoding="utf-8") as file:
            return [PreparedRecord.from_json(json.loads(line)) for line in file]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> Exception:
    if isinstance(error, DataError):
        return error
    return DataError(
        f"{path} cannot be read ({type(error).__name__}: {error}); prepare the data set again with "
        "--overwrite."
    )

"""The interface between the pipeline and any collection of recordings."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from physio_mae_jax.errors import DataError
from physio_mae_jax.types import JsonMapping


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordingInfo:
    """Metadata of a recording, available before its samples are read.

    Attributes:
        record_id: Id, unique in its source; used in every message about the recording.
        subject_id: Subject id; splits never put a subject into several splits.
        channel_names: Canonical names [M] (``signals.channels``), in the row order of ``read``.
        sampling_rate_hz: Sampling rate in Hz, the same for all channels of the recording.
        num_samples: Length in samples at that rate.
        data_set: Name of its data set; subjects of different data sets are different subjects.
        units: Units [M] of the channels; empty if the source has none.
        gaps: (row, start, stop) segments of non-finite samples, if known beforehand.
        start_time: First instant, ISO 8601 without a zone, by the clock of the recording device; ''
            where the source states none.
        attributes: Other metadata of the source, such as fold, age and sex.
    """

    record_id: str
    subject_id: str
    channel_names: tuple[str, ...]
    sampling_rate_hz: float
    num_samples: int
    data_set: str = ""
    units: tuple[str, ...] = ()
    gaps: tuple[tuple[int, int, int], ...] = ()
    start_time: str = ""
    attributes: JsonMapping = dataclasses.field(default_factory=dict)

    @property
    def subject_key(self) -> str:
        """Subject id that is unique across data sets."""
        return f"{self.data_set}:{self.subject_id}" if self.data_set else self.subject_id

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.num_samples / self.sampling_rate_hz

    def reject_outside(self, start: int, stop: int) -> None:
        """Raise a DataError unless samples [start, stop) lie inside the recording."""
        if not 0 <= start <= stop <= self.num_samples:
            raise DataError(
                f"samples [{start}, {stop}) of recording {self.record_id} were requested; it has "
                f"{self.num_samples} samples."
            )


class SignalSource(Protocol):
    """A random-access collection of recordings; picklable, so that worker processes can read."""

    @property
    def recordings(self) -> Sequence[RecordingInfo]:
        """Metadata of every recording; index i is index i of ``read``."""
        ...

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        """Return samples [start, stop) of recording ``index`` as float32 [M, stop - start].

        Arrays in memory are float64 if float32 cannot represent them, see
        ``signals.float32_range``. Values are unchanged (in physical units if the file states them),
        including NaN: the pipeline checks them.

        Raises:
            DataError: the file cannot be read or no longer matches its description.
        """
        ...

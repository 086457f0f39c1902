"""What a collection of recordings looks like to the pipeline, wherever it comes from."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from physio_mae_jax.errors import DataError

# No waveform is sampled as slowly: a period was given for a rate, or milliseconds for seconds.
LEAST_RATE_HZ = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordingInfo:
    """What is known of a recording before its samples are read.

    Attributes:
        record_id: unique in its source; used in every message about the recording.
        subject_id: the person; splits never put one subject on both sides.
        channel_names: canonical names (``signals.channels``), in the order ``read`` returns them.
        sampling_rate_hz: samples a second, the same for all channels of the recording.
        num_samples: length in samples at that rate.
        data_set: name of the set it belongs to; subjects of two sets are two people.
        units: of the channels; empty where the source says nothing of units.
        gaps: (row, start, stop) stretches of samples that are not finite, known beforehand.
        attributes: what else the source says, such as fold, age and sex.
    """

    record_id: str
    subject_id: str
    channel_names: tuple[str, ...]
    sampling_rate_hz: float
    num_samples: int
    data_set: str = ""
    units: tuple[str, ...] = ()
    gaps: tuple[tuple[int, int, int], ...] = ()
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def subject_key(self) -> str:
        """The person, told from those of other data sets."""
        return f"{self.data_set}:{self.subject_id}" if self.data_set else self.subject_id

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.num_samples / self.sampling_rate_hz

    def refuse_outside(self, start: int, stop: int) -> None:
        """Raise a DataError unless samples [start, stop) lie inside the recording."""
        if not 0 <= start <= stop <= self.num_samples:
            raise DataError(
                f"samples [{start}, {stop}) of recording {self.record_id} were asked for; it has "
                f"{self.num_samples}."
            )


class SignalSource(Protocol):
    """A random-access collection of recordings; picklable, so that worker processes can read."""

    @property
    def recordings(self) -> Sequence[RecordingInfo]:
        """Describe every recording; index i here is index i of ``read``."""
        ...

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        """Return samples [start, stop) of recording ``index`` as float32 [M, stop - start].

        Arrays in memory are float64 where float32 could not hold them, see ``signals.levels``.
        Values are those of the file (physical units where it gives them), NaN included: judging
        them is the pipeline's work.

        Raises:
            DataError: the file cannot be read or no longer matches its description.
        """
        ...

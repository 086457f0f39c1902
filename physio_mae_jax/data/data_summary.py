"""Size, license and citation of the data that a model was trained on, by data set."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated

from physio_mae_jax.data.json_types import Between
from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.source import SignalSource

_Count = Annotated[int, Between(0)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataSetSummary:
    """The used recordings of a data set.

    Attributes:
        name, variant, version: Identification of the data set.
        license, homepage, citation: Those of the source; '' where they are not known.
        content_hash: Hash of ids and samples of the whole prepared set; '' if it is not prepared.
        num_recordings, num_subjects: Numbers of used recordings and of their subjects.
        hours: Total duration of the used recordings.
        channels: Channels of any used recording, in the order of their first occurrence.
    """

    name: str
    variant: str = ""
    version: str = ""
    license: str = ""
    homepage: str = ""
    citation: str = ""
    content_hash: str = ""
    num_recordings: _Count
    num_subjects: _Count
    hours: Annotated[float, Between(0.0)]
    channels: tuple[str, ...]


def summarize_data(source: ConcatSource, indices: Sequence[int]) -> tuple[DataSetSummary, ...]:
    """Summarize the recordings with these indices, one entry for each data set."""
    groups: dict[str, list[int]] = {}
    for index in indices:
        groups.setdefault(source.recordings[index].data_set, []).append(index)
    return tuple(_summarize(source, name, group) for name, group in groups.items())


def _summarize(source: ConcatSource, name: str, indices: Sequence[int]) -> DataSetSummary:
    infos = [source.recordings[index] for index in indices]
    origin, _ = source.origin(indices[0])
    return DataSetSummary(
        name=name,
        num_recordings=len(infos),
        num_subjects=len({info.subject_id for info in infos}),
        hours=round(sum(info.seconds for info in infos) / 3600, 4),
        channels=tuple(dict.fromkeys(name for info in infos for name in info.channel_names)),
        **_stated(origin),
    )


def _stated(source: SignalSource) -> dict[str, str]:
    """Return what a prepared data set states of its source; nothing for other recordings."""
    if not isinstance(source, PreparedSource):
        return {}
    names = ("variant", "version", "license", "homepage", "citation", "content_hash")
    return {name: getattr(source.metadata, name) for name in names}

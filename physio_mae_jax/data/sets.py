"""Data sets by name, alone or several as one source.

'ptbxl', 'ptbxl/500hz' or 'ptbxl:2+bidmc:1': names of prepared data sets, joined by +, each with its
variant after a slash and its weight after a colon. 'synthetic' is made here; 'folder' is a folder
of one's own recordings, read as it is.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.contamination import hashes_of
from physio_mae_jax.data.formats.folder import FolderSource, open_folder
from physio_mae_jax.data.prepared import PreparedSource, find_prepared
from physio_mae_jax.data.sample_cache import SampleCache
from physio_mae_jax.data.source import RecordingInfo, SignalSource
from physio_mae_jax.data.synthetic import CohortConfig, SyntheticCohort
from physio_mae_jax.errors import ConfigError

SYNTHETIC = "synthetic"  # the name of the data set that is made, and of no other

_ITEM = re.compile(r"([A-Za-z0-9_]+(?:/[A-Za-z0-9_.]+)?)(?::(\d+(?:\.\d*)?))?")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetName:
    """One of the names in 'ptbxl/500hz:2+bidmc'.

    Attributes:
        name: with its variant, if any.
        weight: None where none is given.
    """

    name: str
    weight: float | None


def parse_set_names(text: str) -> tuple[DatasetName, ...]:
    """Read the names of data sets.

    Raises:
        ConfigError: they are not understood, or some but not all have weights.
    """
    names = []
    for item in (part.strip() for part in text.split("+")):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise ConfigError(
                f"data.sets is {text!r}; write names joined by +, such as 'ptbxl' or "
                "'ptbxl/500hz:2+bidmc:1'."
            )
        names.append(DatasetName(name=match[1], weight=float(match[2]) if match[2] else None))
    weights = [name.weight for name in names]
    if None in weights and any(weights):
        raise ConfigError(f"data.sets is {text!r}; give every set a weight, or none.")
    if any(weight == 0 for weight in weights):
        raise ConfigError(f"data.sets is {text!r}; leave a set out rather than give it weight 0.")
    if len({name.name for name in names}) < len(names):
        raise ConfigError(f"data.sets is {text!r}; name each set once.")
    return tuple(names)


def open_set(
    name: str,
    *,
    root: str,
    folder: str,
    manifest: str,
    raw_manifests: Mapping[str, str],
    cohort: CohortConfig,
    skip_unreadable: bool,
    cache: SampleCache | None = None,
    channels: str = "",
) -> SignalSource:
    """Open one data set.

    Args:
        name: 'synthetic', 'folder' or that of a prepared one, with its variant if need be.
        root: the ``--out`` of preparations.
        folder, manifest: of 'folder'; the manifest may be ''.
        raw_manifests: sets that may lie unprepared in ``root/name``, and manifests for them.
        cohort: of 'synthetic'.
        skip_unreadable: leave out unusable files of a folder with a warning instead of raising.
        cache: keeps samples of prepared sets; without one they are decoded at every reading.
        channels: that will be used of a folder, see ``data.formats.folder.open_folder``.

    Raises:
        ConfigError: there is no such data set; the message says how to prepare it.
        DataError: it is damaged.
    """
    if name == SYNTHETIC:
        return SyntheticCohort(cohort)
    if name == "folder":
        if not folder:
            raise ConfigError("data.path is empty; name a folder with --config.data.path=DIR.")
        return open_folder(
            folder, manifest or None, skip_unreadable=skip_unreadable, channels=channels
        )
    prepared = find_prepared(Path(root).expanduser(), name)
    if prepared is not None:
        return PreparedSource(prepared, cache)
    raw = Path(root).expanduser() / name
    if name in raw_manifests and raw.is_dir():
        return open_folder(
            raw, raw_manifests[name], skip_unreadable=skip_unreadable, channels=channels
        )
    raise ConfigError(
        f"data set {name!r} is not in {Path(root).expanduser().absolute()}; prepare it with "
        f"'python -m physio_mae_jax.prepare {name} --source=RAW_FOLDER --out={root}', or say "
        "where it is with --config.data.root=DIR."
    )


class ConcatSource:
    """Recordings of several sources, one after the other; a ``SignalSource``."""

    def __init__(self, sources: Sequence[SignalSource], indices: Sequence[Sequence[int]]) -> None:
        """Join some recordings of each source.

        Raises:
            ConfigError: two of them are of one data set, by whose name weights, subjects and ids
                are told apart.
        """
        names = [source.recordings[0].data_set for source in sources if source.recordings]
        for name in filter(None, names):
            if names.count(name) > 1:
                raise ConfigError(
                    f"data set {name!r} is named {names.count(name)} times, as two variants of it "
                    "or as a folder of that name; name it once."
                )
        self._sources = tuple(sources)
        self._places = tuple((s, i) for s, some in enumerate(indices) for i in some)
        self._recordings = tuple(self._sources[s].recordings[i] for s, i in self._places)

    @property
    def recordings(self) -> Sequence[RecordingInfo]:
        """Describe every recording; index i here is index i of ``read``."""
        return self._recordings

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        """Return samples [start, stop) of recording ``index``, see ``SignalSource``."""
        source, place = self._places[index]
        return self._sources[source].read(place, start, stop)

    def block_hashes(self, index: int) -> Sequence[int]:
        """Return ``data.fingerprints.block_hashes`` of a recording."""
        return hashes_of(*self.origin(index))

    def version(self, index: int) -> str:
        """Return what changes where the file of a recording does; '' of what is prepared."""
        source, place = self.origin(index)
        return source.version(place) if isinstance(source, FolderSource) else ""

    def name(self, index: int) -> str:
        """Return the id of a recording, with its data set's name where there are several."""
        info = self._recordings[index]
        is_one_of_several = len(self._sources) > 1 and info.data_set
        return f"{info.data_set}:{info.record_id}" if is_one_of_several else info.record_id

    def origin(self, index: int) -> tuple[SignalSource, int]:
        """Return the source that recording ``index`` comes from, and its index there."""
        source, place = self._places[index]
        return self._sources[source], place

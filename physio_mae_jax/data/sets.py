"""Opening data sets by name, and concatenating several into one source.

'ptbxl', 'ptbxl/500hz' or 'ptbxl:2+bidmc:1': names of prepared data sets, joined by +, each with an
optional variant after a slash and weight after a colon. 'synthetic' is the simulated cohort;
'folder' is a folder of the user's own recordings, read without preparation.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.block_cache import BlockCache
from physio_mae_jax.data.contamination import get_block_hashes
from physio_mae_jax.data.formats.folder import FolderSource, open_folder
from physio_mae_jax.data.prepared import PreparedSource, find_prepared
from physio_mae_jax.data.sample_cache import SampleCache
from physio_mae_jax.data.source import RecordingInfo, SignalSource
from physio_mae_jax.data.synthetic import CohortConfig, SyntheticCohort
from physio_mae_jax.errors import ConfigError

SYNTHETIC = "synthetic"  # reserved name of the simulated data set

_ITEM = re.compile(r"([A-Za-z0-9_]+(?:/[A-Za-z0-9_.]+)?)(?::(\d+(?:\.\d*)?))?")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetName:
    """One item of 'ptbxl/500hz:2+bidmc'.

    Attributes:
        name: Name of the data set, with its variant if any.
        weight: Sampling weight; None if not given.
    """

    name: str
    weight: float | None


def parse_weighted_sets(text: str) -> tuple[DatasetName, ...]:
    """Parse the names of data sets.

    Raises:
        ConfigError: the names are invalid, or some but not all have weights.
    """
    names = []
    for item in (part.strip() for part in text.split("+")):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise ConfigError(
                f"data.sets must be names joined by +, such as 'ptbxl' or "
                f"'ptbxl/500hz:2+bidmc:1'; got {text!r}."
            )
        names.append(DatasetName(name=match[1], weight=float(match[2]) if match[2] else None))
    weights = [name.weight for name in names]
    if None in weights and any(weights):
        raise ConfigError(f"data.sets is {text!r}; give every set a weight, or none.")
    if any(weight == 0 for weight in weights):
        raise ConfigError(f"data.sets is {text!r}; omit a set instead of giving weight 0.")
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
        name: 'synthetic', 'folder' or the name of a prepared data set, optionally with a variant.
        root: Folder of prepared data sets (``--out`` of the preparation).
        folder, manifest: Folder and manifest of 'folder'; the manifest may be ''.
        raw_manifests: Data set name -> manifest, for sets read unprepared from ``root/name``.
        cohort: Settings of 'synthetic'.
        skip_unreadable: Skip unusable files of a folder with a warning instead of raising.
        cache: Cache of decoded samples; None decodes those of prepared sets at every read.
        channels: Channels of a folder that will be used, see ``data.formats.folder.open_folder``.

    Raises:
        ConfigError: there is no such data set; the message says how to prepare it.
        DataError: the data set is damaged.
    """
    if name == SYNTHETIC:
        return SyntheticCohort(cohort)
    if name == "folder":
        if not folder:
            raise ConfigError("data.path is empty; name a folder with --config.data.path=DIR.")
        return open_folder(
            folder,
            manifest or None,
            skip_unreadable=skip_unreadable,
            channels=channels,
            cache=cache,
        )
    prepared = find_prepared(Path(root).expanduser(), name)
    if prepared is not None:
        return PreparedSource(prepared, cache)
    raw = Path(root).expanduser() / name
    if name in raw_manifests and raw.is_dir():
        return open_folder(
            raw,
            raw_manifests[name],
            skip_unreadable=skip_unreadable,
            channels=channels,
            cache=cache,
        )
    raise ConfigError(
        f"data set {name!r} is not in {Path(root).expanduser().absolute()}; prepare it with "
        f"'python -m physio_mae_jax.prepare {name} --source=RAW_FOLDER --out={root}', or set "
        "its location with --config.data.root=DIR."
    )


class ConcatSource:
    """Concatenation of several sources; a ``SignalSource``."""

    def __init__(
        self,
        sources: Sequence[SignalSource],
        indices: Sequence[Sequence[int]],
        cache: SampleCache | None = None,
    ) -> None:
        """Concatenate the selected recordings of each source.

        Args:
            sources: Sources of recordings.
            indices: Indices of the selected recordings of each source.
            cache: Cache of the samples of folders; None reads their files every time.

        Raises:
            ConfigError: two sources have the same data set name, which must be unique because
                weights, subjects and ids are distinguished by it.
        """
        names = [source.recordings[0].data_set for source in sources if source.recordings]
        for name in filter(None, names):
            if names.count(name) > 1:
                raise ConfigError(
                    f"data set {name!r} occurs {names.count(name)} times, as two variants or as a "
                    "folder of the same name; list it once."
                )
        self._sources = tuple(sources)
        self._readers = tuple(
            BlockCache(source, cache, f"{number}:{source.folder}", source.is_kept)
            if cache is not None and isinstance(source, FolderSource)
            else source
            for number, source in enumerate(sources)
        )
        self._origins = tuple((s, i) for s, selected in enumerate(indices) for i in selected)
        self._recordings = tuple(self._sources[s].recordings[i] for s, i in self._origins)

    @property
    def recordings(self) -> Sequence[RecordingInfo]:
        """Metadata of every recording; index i is index i of ``read``."""
        return self._recordings

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        """Return samples [start, stop) of recording ``index``, see ``SignalSource``."""
        source, position = self._origins[index]
        return self._readers[source].read(position, start, stop)

    def block_hashes(self, index: int) -> Sequence[int]:
        """Return ``data.fingerprints.block_hashes`` of a recording."""
        return get_block_hashes(*self.origin(index))

    def version(self, index: int) -> str:
        """Return a version that changes with the recording's file; '' for prepared recordings."""
        source, position = self.origin(index)
        return source.version(position) if isinstance(source, FolderSource) else ""

    def name(self, index: int) -> str:
        """Return the id of a recording, prefixed by its data set if there are several."""
        info = self._recordings[index]
        is_one_of_several = len(self._sources) > 1 and info.data_set
        return f"{info.data_set}:{info.record_id}" if is_one_of_several else info.record_id

    def origin(self, index: int) -> tuple[SignalSource, int]:
        """Return the source that recording ``index`` comes from, and its index there."""
        source, position = self._origins[index]
        return self._sources[source], position

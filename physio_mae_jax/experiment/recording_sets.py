"""Recordings of data sets, of a folder or of files, whose labels are not needed."""

import dataclasses

from physio_mae_jax.data.formats.folder import open_files
from physio_mae_jax.data.sets import open_set, parse_weighted_sets
from physio_mae_jax.data.source import SignalSource
from physio_mae_jax.data.synthetic import CohortConfig
from physio_mae_jax.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordingSets:
    """Recordings to open.

    Attributes:
        sets, root, path, manifest: As in ``DataConfig``.
        files: Comma-separated paths of self-describing files, instead of ``sets``.
    """

    sets: str
    root: str
    path: str
    manifest: str
    files: str

    @property
    def is_empty(self) -> bool:
        """Whether no recordings are named."""
        return not self.sets and not self._names

    @property
    def _names(self) -> list[str]:
        return [name.strip() for name in self.files.split(",") if name.strip()]

    def open(self, *, skip_unreadable: bool) -> list[SignalSource]:
        """Open the recordings.

        Raises:
            UserError: Nothing is named, or it does not exist or cannot be read.
        """
        if self._names:
            return [open_files(self._names, skip_unreadable=skip_unreadable)]
        if self.is_empty:
            raise ConfigError(
                "no recordings to encode; set --config.data.sets=NAME of prepared data, "
                "--config.data.sets=folder with --config.data.path=DIR, or --config.data.files=A,B."
            )
        return [
            open_set(
                item.name,
                root=self.root,
                folder=self.path,
                manifest=self.manifest,
                raw_manifests={},
                cohort=CohortConfig(),
                skip_unreadable=skip_unreadable,
            )
            for item in parse_weighted_sets(self.sets)
        ]

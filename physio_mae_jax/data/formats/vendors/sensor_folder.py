"""Folders of one CSV file per sensor of a device, which are one recording."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from physio_mae_jax.errors import DataError


class SensorFolder(NamedTuple):
    """The files of a device's export.

    Attributes:
        device: Name of the device, with an article, for messages.
        sensors: File names without '.csv'; the first one in a folder names its recording.
        is_other: Whether a file name is that of another file of the export, without samples.
    """

    device: str
    sensors: Sequence[str]
    is_other: Callable[[str], bool]

    @property
    def firsts(self) -> tuple[str, ...]:
        """Names of the files that may name a recording, in order."""
        return tuple(f"{sensor}.csv" for sensor in self.sensors)

    def parts(self, path: Path, names: Collection[str]) -> frozenset[str]:
        """Return which of ``names`` belong to the recording ``path``; none if it is not one."""
        first = next((name for name in self.firsts if name in names), "")
        if path.name != first:
            return frozenset()
        files = {name for name in names if name in self.firsts or self.is_other(name)}
        return frozenset(files - {first})

    def files(self, folder: Path) -> dict[str, Path]:
        """Return sensor -> file of the sensors in a folder."""
        paths = {sensor: folder / f"{sensor}.csv" for sensor in self.sensors}
        return {sensor: path for sensor, path in paths.items() if path.is_file()}

    def companions(self, path: Path) -> tuple[str, ...]:
        """Return the names of the other sensors' files beside ``path``."""
        return tuple(found.name for found in self.files(path.parent).values() if found != path)

    def check_first(self, path: Path) -> None:
        """Check that a file names the recording of its folder.

        Raises:
            DataError: it is a later sensor.
        """
        first = next(iter(self.files(path.parent).values()))
        if first != path:
            raise DataError(
                f"{path} is one sensor of {self.device}, whose recording is {first.name} with the "
                f"other sensors beside it; list {first.name} only."
            )

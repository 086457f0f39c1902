"""Where the rate, names and units of a recording came from: its file, or the manifest."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
    """Where each fact of a recording came from, as a phrase; '' where it is not known.

    Attributes:
        format: Name of the format, such as 'Empatica E4 (zip)'.
        rate: Source of the sampling rate, such as 'line 2 of each sensor'.
        names: Source of the channel names.
        units: Source of the units.
    """

    format: str = ""
    rate: str = ""
    names: str = ""
    units: str = ""

    def __str__(self) -> str:
        """Format as one line for reports."""
        parts = (("rate", self.rate), ("names", self.names), ("units", self.units))
        return f"{self.format or 'file'}: " + ", ".join(
            f"{what} from {source}" if source else f"{what} not stated" for what, source in parts
        )


_STATED = "the manifest or arguments"
_HEADERS = {
    ".edf": ("EDF", "its header"),
    ".rec": ("EDF", "its header"),
    ".bdf": ("BDF", "its header"),
    ".hea": ("WFDB", "its header"),
    ".npz": ("npz", "its members"),
    ".npy": ("npy", ""),
    ".parquet": ("parquet", "its columns"),
}


def origin_by_ending(ending: str) -> Origin:
    """Return the origin for a format that states everything in one header; else of a table."""
    name, header = _HEADERS.get(ending, ("table of text", "its line of names"))
    units = "" if ending in (".npz", ".npy") else header
    return Origin(format=name, rate=header, names=header, units=units)


def completed(
    origin: Origin,
    ending: str,
    *,
    rate_by_manifest: bool,
    names_by_manifest: bool,
    units_by_file: bool,
    units_by_manifest: bool,
) -> Origin:
    """Return the origin of a file's facts, with what the manifest states instead.

    Args:
        origin: Origin as stated by the reader; empty fields take the usual one of the format.
        ending: Ending of the file's name.
        rate_by_manifest, names_by_manifest: Whether the manifest states them.
        units_by_file, units_by_manifest: Whether a unit is stated by either.
    """
    usual = origin_by_ending(ending)
    units = origin.units or usual.units
    return Origin(
        format=origin.format or usual.format,
        rate=_STATED if rate_by_manifest else origin.rate or usual.rate,
        names=_STATED if names_by_manifest else origin.names or usual.names,
        units=units if units_by_file else _STATED if units_by_manifest else "",
    )

"""Notes about the preprocessing of recordings, for the report of an encoding."""

from typing import NamedTuple

READ = "read"  # from a file: its format, and where rate, names and units came from
RESAMPLED, RENAMED, REORDERED = "resampled", "renamed", "reordered"
CONVERTED = "converted"
MASKED, PADDED, REJECTED = "masked", "padded", "rejected"
WARNING = "warning"  # nothing was changed, but a result may be misleading
KINDS = (READ, RESAMPLED, RENAMED, REORDERED, CONVERTED, MASKED, PADDED, REJECTED, WARNING)


class Note(NamedTuple):
    """One entry of a report.

    Attributes:
        kind: Kind of the note, one of ``KINDS``.
        text: Description of the change.
        recording: Name of the recording.
    """

    kind: str
    text: str
    recording: str

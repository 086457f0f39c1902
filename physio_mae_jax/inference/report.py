"""Report of the preprocessing of recordings."""

import dataclasses
from collections.abc import Iterable
from typing import NamedTuple

from physio_mae_jax.data.windows import WindowConfig
from physio_mae_jax.printable import printable

READ = "read"  # from a file: its format, and where rate, names and units came from
RESAMPLED, RENAMED, REORDERED = "resampled", "renamed", "reordered"
CONVERTED = "converted"
MASKED, PADDED, REJECTED = "masked", "padded", "rejected"
WARNING = "warning"  # nothing was changed, but a result may be misleading
KINDS = (READ, RESAMPLED, RENAMED, REORDERED, CONVERTED, MASKED, PADDED, REJECTED, WARNING)
_SHOWN = 3


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncodingReport:
    """Report of one encoding call; ``print`` shows it.

    Attributes:
        recordings: Names of the recordings, in the order of the embeddings.
        channels: Row names per recording: as given, followed by derived ones.
        seconds: Total duration, seconds.
        num_windows: Number of encoded windows.
        window_seconds: Length of a window, seconds.
        notes: Changes, each with its recording.
    """

    recordings: tuple[str, ...]
    channels: tuple[tuple[str, ...], ...]
    seconds: float
    num_windows: int
    window_seconds: float
    notes: tuple[Note, ...]

    def of(self, kind: str) -> tuple[Note, ...]:
        """Return the notes of one of ``KINDS``."""
        return tuple(note for note in self.notes if note.kind == kind)

    def lines(self) -> list[str]:
        """Format the report, each text once."""
        count = len(self.recordings)
        windows = "window" if self.num_windows == 1 else "windows"
        lines = [
            f"{'recordings':<11}{count} of {_duration(self.seconds)} in all, "
            f"{self.num_windows} {windows} of {self.window_seconds:g} s"
        ]
        for kind in KINDS:
            texts = _grouped(self.of(kind), count)
            lines += [
                f"{kind if number == 0 else '':<11}{text}" for number, text in enumerate(texts)
            ]
        nothing = [kind for kind in KINDS if kind not in (READ, WARNING) and not self.of(kind)]
        return [*lines, f"{'nothing':<11}{', '.join(nothing)}"] if nothing else lines

    def __str__(self) -> str:
        """Return the lines as one text."""
        return "\n".join(self.lines())


def _grouped(notes: Iterable[Note], num_recordings: int) -> list[str]:
    """Format each text once, with its recordings if it does not apply to all."""
    by_text: dict[str, list[str]] = {}
    for note in notes:
        by_text.setdefault(printable(note.text, None), []).append(printable(note.recording))
    lines = []
    for text, names in by_text.items():
        if len(set(names)) == num_recordings:
            lines.append(text)
            continue
        shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
        lines.append(f"{text} ({len(names)} of {num_recordings} recordings: {shown})")
    return lines


def no_report(window: WindowConfig) -> EncodingReport:
    """Return the report of a batch without recordings."""
    return EncodingReport(
        recordings=(),
        channels=(),
        seconds=0.0,
        num_windows=0,
        window_seconds=window.num_samples / window.sampling_rate_hz,
        notes=(),
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.6g} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

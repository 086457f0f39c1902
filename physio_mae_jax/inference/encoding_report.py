"""Report of an encoding: what was encoded, changed and excluded."""

import dataclasses
from collections.abc import Iterable, Sequence

from physio_mae_jax.inference.notes import KINDS, MASKED, READ, REJECTED, WARNING, Note
from physio_mae_jax.inference.overlap_averager import AveragedRecording
from physio_mae_jax.inference.recording_plan import EncodingPlan
from physio_mae_jax.inference.window_rows import WindowTimes
from physio_mae_jax.printable import printable

_SHOWN = 3


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
        windows: Times of the windows of each recording, with rows='window'; else empty.
    """

    recordings: tuple[str, ...]
    channels: tuple[tuple[str, ...], ...]
    seconds: float
    num_windows: int
    window_seconds: float
    notes: tuple[Note, ...]
    windows: tuple[WindowTimes, ...] = ()

    def of(self, kind: str) -> tuple[Note, ...]:
        """Return the notes of one of ``notes.KINDS``."""
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


def report_of(plan: EncodingPlan, averaged: Sequence[AveragedRecording]) -> EncodingReport:
    """Return the report of planned and averaged recordings."""
    notes = list(plan.notes)
    for one, found in zip(plan.recordings, averaged, strict=True):
        texts = _flat_windows(found, one.channels.channels)
        notes += [Note(kind, text, one.info.record_id) for kind, text in texts]
    return EncodingReport(
        recordings=tuple(one.info.record_id for one in plan.recordings),
        channels=tuple(one.rows for one in plan.recordings),
        seconds=sum((one.info.seconds for one in plan.recordings), 0.0),
        num_windows=sum(found.num_windows for found in averaged),
        window_seconds=plan.input.window.seconds,
        notes=tuple(notes),
        windows=tuple(found.windows for found in averaged if found.windows is not None),
    )


def _flat_windows(found: AveragedRecording, channels: Sequence[str]) -> list[tuple[str, str]]:
    """Report masked channels and excluded windows that do not vary."""
    total = found.num_windows + found.num_flat_windows
    notes = [
        (MASKED, f"{name}, constant (beside its offset) or missing in {count} of {total} windows")
        for name, count in zip(channels, found.flat.tolist(), strict=True)
        if count
    ]
    if found.num_flat_windows:
        excluded = f"{found.num_flat_windows} of {total} windows, in which no channel varies"
        notes.append((REJECTED, excluded))
    return notes


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.6g} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

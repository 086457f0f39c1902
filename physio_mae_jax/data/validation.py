"""Checking every recording before training, so that bad data fails early."""

import dataclasses
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from tqdm import tqdm

from physio_mae_jax.data.channel_plan import ChannelPlanner
from physio_mae_jax.data.listing import list_problems
from physio_mae_jax.data.source import RecordingInfo, SignalSource
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.signals.channels import unknown_channel_message
from physio_mae_jax.signals.rates import check_rate

# 64 MiB of float32 per read, so that recordings may exceed the memory.
_VALUES_PER_READ = 2**24

UNREADABLE = "unreadable"
EMPTY = "empty"
IMPLAUSIBLE_RATE = "implausible rate"
TOO_SHORT = "too short"
MISSING_CHANNEL = "missing channel"
NOT_FINITE = "NaN or Inf"
FLAT = "flat"

_HINTS = {
    UNREADABLE: "write or copy the file again",
    EMPTY: "remove the file, or list the other files in the manifest",
    IMPLAUSIBLE_RATE: (
        "correct the rate at its source: is it a period, or were milliseconds or sample numbers "
        "read as seconds?"
    ),
    TOO_SHORT: "shorten the windows with --config.window_seconds=...",
    MISSING_CHANNEL: (
        "choose channels that all recordings have with --config.data.channels=..., or mask "
        "missing ones with --config.data.missing_channels=mask"
    ),
    NOT_FINITE: "fill or remove the gaps in the file",
    FLAT: "all selected channels are constant: check the sensor, or list the other files",
}


@runtime_checkable
class HasFiles(Protocol):
    """A source that can name the file of a recording."""

    def get_file(self, index: int) -> str:
        """Return the path of the file that contains recording ``index``."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Issue:
    """Why a recording cannot be used.

    Attributes:
        index: Index of the recording in its source.
        record_id: Id of the recording.
        file: Path of its file; empty if the source has no files.
        reason: One of the reason constants of this module.
        detail: Description of the finding, with counts and positions.
    """

    index: int
    record_id: str
    file: str
    reason: str
    detail: str

    def __str__(self) -> str:
        """Format the problem on one line."""
        location = f" ({self.file})" if self.file and self.file not in self.detail else ""
        return f"{self.record_id}{location}: {self.detail}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckReport:
    """Result of a check.

    Attributes:
        num_checked: Number of recordings of the source.
        problems: First problem of each rejected recording.
    """

    num_checked: int
    problems: tuple[Issue, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Number of recordings for each reason."""
        return dict(Counter(problem.reason for problem in self.problems))

    @property
    def num_kept(self) -> int:
        """Recordings without a problem."""
        return self.num_checked - len(self.problems)

    def summary(self) -> str:
        """Format the report: the number of usable recordings, and all that are excluded."""
        head = f"{self.num_kept} of {self.num_checked} recordings are used"
        if not self.problems:
            return head + "."
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.counts.items())
        return f"{head}; excluded: {reasons}.\n{_format_problems(self.problems)}"


def check_recordings(
    source: SignalSource,
    *,
    min_seconds: float,
    planner: ChannelPlanner,
    missing_channels: str,
    on_invalid: str,
    progress: bool,
) -> tuple[list[int], CheckReport]:
    """Find the usable recordings, reading each once unless its quality is already known.

    A recording is rejected if it cannot be read, is empty or shorter than ``min_seconds``, lacks a
    selected channel ("error") or all of them ("mask"), or if its selected channels have NaN or Inf
    or are all constant. Other channels are not checked. Samples are read only from sources with
    files: a prepared data set was checked when it was prepared, and windows avoid its gaps.

    Args:
        source: Any source of recordings.
        min_seconds: Length of a training window in seconds.
        planner: Planner of the selected channels.
        missing_channels: "error" rejects a recording that lacks a selected channel; "mask" only one
            that lacks all of them.
        on_invalid: "error" raises if a recording is rejected; "skip" excludes it.
        progress: Whether to show a progress bar on stderr, if that is a terminal.

    Returns:
        The ascending indices of usable recordings, and the report of the check.

    Raises:
        ConfigError: ``missing_channels`` or ``on_invalid`` has an invalid value.
        DataError: a selected channel is in no recording, a recording is rejected under "error",
            or every recording is rejected.
    """
    _require_choice(missing_channels, ("error", "mask"), "data.missing_channels")
    _require_choice(on_invalid, ("error", "skip"), "data.on_invalid")
    reject_unknown_channels(source.recordings, planner)
    problems: dict[int, Issue] = {}
    rows: list[Sequence[int]] = []
    for index, info in enumerate(source.recordings):
        channel_rows, found = _check_description(info, planner, min_seconds, missing_channels)
        rows.append(channel_rows)
        if found:
            problems[index] = _problem(source, index, *found)
    if problems and on_invalid == "error":
        # Raised before reading samples, which may take minutes and cannot change the outcome.
        raise DataError(_rejection_message(list(problems.values()), len(source.recordings)))
    shown = progress and sys.stderr.isatty()
    to_read = range(len(rows) if isinstance(source, HasFiles) else 0)
    for index in tqdm(to_read, "Checking recordings", disable=not shown, leave=False):
        if index not in problems and (found := _check_samples(source, index, rows[index])):
            problems[index] = _problem(source, index, *found)
    ordered = tuple(problems[index] for index in sorted(problems))
    if ordered and (on_invalid == "error" or len(ordered) == len(rows)):
        raise DataError(_rejection_message(ordered, len(rows)))
    report = CheckReport(num_checked=len(rows), problems=ordered)
    return [index for index in range(len(rows)) if index not in problems], report


def _require_choice(value: str, choices: Sequence[str], key: str) -> None:
    if value not in choices:
        raise ConfigError(f"{key} must be {' or '.join(map(repr, choices))}; got {value!r}.")


def reject_unknown_channels(infos: Sequence[RecordingInfo], planner: ChannelPlanner) -> None:
    """Reject a channel selected by name that no recording has and that cannot be derived.

    Raises:
        DataError: there is such a channel (the message suggests similar names), or there are no
            recordings.
    """
    if not infos:
        raise DataError("the data set has no recordings.")
    if not planner.names_channels:
        return
    plans = [planner.plan(info) for info in infos]
    found = {name for plan in plans for name in set(plan.channels) - set(plan.missing)}
    present = list(dict.fromkeys(name for info in infos for name in info.channel_names))
    for name in plans[0].channels:
        if name not in found:
            where = f"any of the {len(infos)} recordings of this data set"
            raise DataError(
                f"{unknown_channel_message(name, present, where)} "
                "Choose others with --config.data.channels=..."
            )


def _check_description(
    info: RecordingInfo, planner: ChannelPlanner, min_seconds: float, missing_channels: str
) -> tuple[Sequence[int], tuple[str, str] | None]:
    """Return the selected rows, and (reason, detail) if the metadata rejects the recording."""
    if info.num_samples == 0:
        return (), (EMPTY, "it has no samples")
    try:
        plan = planner.plan(info)
    except DataError as error:
        return (), (MISSING_CHANNEL, str(error).rstrip("."))
    rows = plan.montage.sources
    try:
        names = [info.channel_names[row] for row in rows]
        check_rate(info.sampling_rate_hz, names, "it", hint=" ")
    except DataError as error:
        return rows, (IMPLAUSIBLE_RATE, str(error).removeprefix("it: ").strip().rstrip("."))
    # The tolerance only covers the rounding of samples / rate; it is far below a sample.
    if info.seconds < min_seconds * (1 - 1e-9):
        return rows, (
            TOO_SHORT,
            f"it lasts {info.seconds:.6g} s ({info.num_samples} samples at "
            f"{info.sampling_rate_hz:g} Hz); a window needs {min_seconds:g} s",
        )
    if plan.missing and (missing_channels == "error" or not rows):
        detail = unknown_channel_message(plan.missing[0], info.channel_names, "it")
        return rows, (MISSING_CHANNEL, detail.rstrip("."))
    return rows, _check_gaps(info, rows, min_seconds)


def _check_gaps(
    info: RecordingInfo, rows: Sequence[int], min_seconds: float
) -> tuple[str, str] | None:
    """Return (reason, detail) if all segments between known gaps are too short."""
    needed = set(rows)
    gap_edges, position, longest = sorted((a, b) for row, a, b in info.gaps if row in needed), 0, 0
    for start, stop in [*gap_edges, (info.num_samples, info.num_samples)]:
        longest, position = max(longest, start - position), max(position, stop)
    if longest / info.sampling_rate_hz >= min_seconds * (1 - 1e-9):
        return None
    return TOO_SHORT, (
        f"its longest segment without a missing sample lasts "
        f"{longest / info.sampling_rate_hz:.6g} s; a window needs {min_seconds:g} s"
    )


def _check_samples(source: SignalSource, index: int, rows: Sequence[int]) -> tuple[str, str] | None:
    """Return (reason, detail) if the recording is rejected because of its samples."""
    info = source.recordings[index]
    num_bad = np.zeros((2, len(rows)), np.int64)
    first_invalid = np.full(len(rows), -1, np.int64)
    first_value, changes = None, np.zeros(len(rows), bool)
    try:
        for start, signal in _chunks(source, index, rows):
            finite = np.isfinite(signal)
            if not finite.all():
                num_bad[0] += np.isnan(signal).sum(axis=1)
                num_bad[1] += np.isinf(signal).sum(axis=1)
                is_first = (first_invalid < 0) & ~finite.all(axis=1)
                first_invalid[is_first] = start + np.argmin(finite[is_first], axis=1)
            first_value = signal[:, :1] if first_value is None else first_value
            changes |= (signal != first_value).any(axis=1)
    except DataError as error:
        return UNREADABLE, str(error)
    if num_bad.any():
        return NOT_FINITE, _format_not_finite(info, rows, num_bad, first_invalid)
    if not changes.any():
        assert first_value is not None
        names = ", ".join(info.channel_names[row] for row in rows)
        return FLAT, f"constant throughout: {names} = {first_value[0, 0]:g}"
    return None


def _chunks(
    source: SignalSource, index: int, rows: Sequence[int]
) -> Iterator[tuple[int, np.ndarray]]:
    info = source.recordings[index]
    step = max(1, _VALUES_PER_READ // len(info.channel_names))
    for start in range(0, info.num_samples, step):
        signal = source.read(index, start, min(start + step, info.num_samples))
        yield start, signal[list(rows)]


def _format_not_finite(
    info: RecordingInfo, rows: Sequence[int], num_bad: np.ndarray, first_invalid: np.ndarray
) -> str:
    texts = []
    for i in np.flatnonzero(num_bad.any(axis=0)).tolist():
        counts = [f"{n} {what}" for n, what in zip(num_bad[:, i], ("NaN", "Inf"), strict=True) if n]
        texts.append(
            f"channel {info.channel_names[rows[i]]} has {' and '.join(counts)} in "
            f"{info.num_samples} samples, the first at sample {first_invalid[i]} "
            f"({first_invalid[i] / info.sampling_rate_hz:.6g} s)"
        )
    return "; ".join(texts)


def _problem(source: SignalSource, index: int, reason: str, detail: str) -> Issue:
    return Issue(
        index=index,
        record_id=source.recordings[index].record_id,
        file=source.get_file(index) if isinstance(source, HasFiles) else "",
        reason=reason,
        detail=detail,
    )


def _rejection_message(problems: Sequence[Issue], num_checked: int) -> str:
    reasons = list(dict.fromkeys(problem.reason for problem in problems))
    hints = [f"  {reason}: {_HINTS[reason]}" for reason in reasons]
    if len(problems) < num_checked:
        hints.append("  any: exclude such recordings with --config.data.on_invalid=skip")
    affected = "every one" if len(problems) == num_checked else f"{len(problems)}"
    return (
        f"{affected} of {num_checked} recordings cannot be used:\n{_format_problems(problems)}\n"
        "How to fix it:\n" + "\n".join(hints)
    )


def _format_problems(problems: Sequence[Issue]) -> str:
    return list_problems((problem.record_id, str(problem)) for problem in problems)

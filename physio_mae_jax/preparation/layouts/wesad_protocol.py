"""The protocol of WESAD: times of its conditions, and its start in the wrist recording.

``S2_quest.csv`` lists the conditions under '# ORDER' and their times under '# START' and '# END',
in minutes and seconds with a dot between ('7.08' is 7 min 8 s, '50.3' is 50 min 30 s), counted from
the start of the protocol. At that moment subjects tapped their wrist twice, and the authors
synchronized the devices by it. In the accelerometer signal the double tap is a pair of jolts with
rest before and after.
"""

import dataclasses
import itertools
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError, name_file_in_errors
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.recording import Annotations, require_file

CLASSES = ("undefined", "baseline", "stress", "amusement", "meditation")
STRESS_CLASSES = ("no_stress", "stress")
# Affect -> stress, as in the paper of the set; other conditions have no label of stress.
_STRESS_OF = {1: 0, 2: 1, 3: 0}
_CONDITIONS = {"Base": 1, "TSST": 2, "Fun": 3, "Medi 1": 4, "Medi 2": 4}
# Conditions in which questionnaires were read.
_READING = re.compile(r"[bsf]Read")
_TIME = re.compile(r"(\d{1,3})(?:\.(\d{1,2}))?", re.ASCII)
# The authors' labels exclude the same margin at both ends of a condition.
MARGIN_S = 10.0

# Minimum change between consecutive samples that counts as a tap, in g.
_LOWEST_JOLT_G = 0.5
_BETWEEN_TAPS_S = (0.2, 1.5)
# Rest is measured from one to four seconds before and after the taps; the noise of the sensor is
# added to it.
_REST_S = (1.0, 4.0)
_NOISE_G = 0.03
_REST_QUANTILE = 0.95
# In ten subjects the contrast of the true pair is 20 to 65, and at most 13 for other pairs.
_LOWEST_CONTRAST = 10.0
# Jolts shortly before the pair, and at least half as strong, belong to the same taps.
_SAME_TAPS_S = 0.75


@dataclasses.dataclass(frozen=True, kw_only=True)
class Condition:
    """A condition of the protocol.

    Attributes:
        label: Index of ``CLASSES``.
        start_s, stop_s: Start and end in seconds from the start of the protocol.
    """

    label: int
    start_s: float
    stop_s: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class DoubleTap:
    """Two taps of the wrist.

    Attributes:
        time_s: Time of the first tap in seconds from the first sample.
        contrast: Strength of the weaker tap, divided by the movement around both.
        next_contrast: Contrast of the second-best pair elsewhere; 0 if there is none.
    """

    time_s: float
    contrast: float
    next_contrast: float


def read_protocol(path: Path) -> tuple[Condition, ...]:
    """Read the conditions of ``S2_quest.csv``, in order of time.

    Raises:
        DataError: the file or a line of it is missing.
        UnreadableError: the numbers of names and times differ, or one of them is invalid.
    """
    require_file(path, "the questionnaires of WESAD")
    with name_file_in_errors(
        path, "lines '# ORDER', '# START' and '# END' with ';'", (OSError, ValueError)
    ):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    rows: dict[str, list[str]] = {}
    for line in lines:
        key, *cells = (cell.strip() for cell in line.split(";"))
        if key in ("# ORDER", "# START", "# END"):
            while cells and not cells[-1]:
                cells.pop()
            rows.setdefault(key, cells)
    missing = {"# ORDER", "# START", "# END"} - set(rows)
    if missing:
        raise DataError(
            f"{path} lacks the lines {', '.join(sorted(missing))}; use the file as published by "
            "the authors."
        )
    names, starts, stops = (rows[key] for key in ("# ORDER", "# START", "# END"))
    if not len(names) == len(starts) == len(stops):
        raise UnreadableError(
            f"{path} names {len(names)} conditions with {len(starts)} starts and {len(stops)} "
            "ends; one of each is expected. Correct the line, or exclude the subject."
        )
    found = [
        _condition(name, start, stop, path)
        for name, start, stop in zip(names, starts, stops, strict=True)
    ]
    ordered = sorted(found, key=lambda condition: condition.start_s)
    for before, after in itertools.pairwise(ordered):
        if after.start_s < before.stop_s:
            raise UnreadableError(
                f"{path}: a condition begins at {after.start_s:g} s, before the one from "
                f"{before.start_s:g} s ends at {before.stop_s:g} s. Correct the times, or exclude "
                "the subject."
            )
    return tuple(ordered)


def _condition(name: str, start: str, stop: str, path: Path) -> Condition:
    if name not in _CONDITIONS and not _READING.fullmatch(name):
        raise UnreadableError(
            f"{path} names the condition {name!r}; {', '.join(_CONDITIONS)}, sRead, bRead and "
            "fRead are known. Correct the line, or exclude the subject."
        )
    start_s, stop_s = _seconds(start, path), _seconds(stop, path)
    if stop_s <= start_s:
        raise UnreadableError(
            f"{path}: {name} ends at {stop}, before its start at {start} (minutes.seconds). "
            "Correct the line, or exclude the subject."
        )
    return Condition(label=_CONDITIONS.get(name, 0), start_s=start_s, stop_s=stop_s)


def _seconds(text: str, path: Path) -> float:
    """Parse a time such as '50.3', 50 min 30 s: a spreadsheet dropped the trailing zero."""
    match = _TIME.fullmatch(text)
    seconds = int((match[2] or "").ljust(2, "0")) if match else 60
    if match is None or seconds >= 60:
        raise UnreadableError(
            f"{path} has the time {text!r}; minutes and seconds such as 7.08 are expected. Correct "
            "the line, or exclude the subject."
        )
    return 60.0 * int(match[1]) + seconds


def affect_annotations(
    conditions: Sequence[Condition], start_s: float, rate_hz: float, num_samples: int
) -> Annotations:
    """Create annotations of conditions without their margins, and of 'undefined' in between.

    Args:
        conditions: Conditions in order of time.
        start_s: Start of the protocol in seconds from the first sample; may be negative.
        rate_hz: Sampling rate of the recording in Hz.
        num_samples: Length of the recording in samples, to which intervals are clipped.
    """
    marks: list[tuple[int, int, int]] = []
    end = 0
    for condition in conditions:
        if not condition.label:
            continue
        first, last = (
            min(max(round((start_s + time_s) * rate_hz), 0), num_samples)
            for time_s in (condition.start_s + MARGIN_S, condition.stop_s - MARGIN_S)
        )
        if first < last:
            marks += [(end, first, 0), (first, last, condition.label)]
            end = last
    marks.append((end, num_samples, 0))
    return Annotations.from_triples([mark for mark in marks if mark[0] < mark[1]])


def stress_annotations(affect: Annotations) -> Annotations:
    """Create annotations of stress; baseline and amusement do not count as stress."""
    return Annotations.from_triples(
        [
            (start, stop, _STRESS_OF[label])
            for start, stop, label in zip(
                affect.start.tolist(), affect.stop.tolist(), affect.label.tolist(), strict=True
            )
            if label in _STRESS_OF
        ]
    )


def find_double_tap(acceleration: np.ndarray, rate_hz: float, latest_s: float) -> DoubleTap | None:
    """Find the most distinct pair of taps in an accelerometer signal.

    Args:
        acceleration: Samples [n, 3] in g.
        rate_hz: Sampling rate in Hz.
        latest_s: Latest time of the taps in seconds from the first sample.

    Returns:
        The pair; None if no pair is distinct enough.
    """
    # Index i is the change from sample i to sample i + 1.
    jolts = np.abs(np.diff(acceleration, axis=0)).max(axis=1)
    near, far = (round(time_s * rate_hz) for time_s in _REST_S)
    shortest, longest = (round(time_s * rate_hz) for time_s in _BETWEEN_TAPS_S)
    peaks = _peaks(jolts, shortest)
    pairs: list[tuple[float, int]] = []
    for number, (first, second) in enumerate(itertools.pairwise(peaks)):
        before, after = (
            jolts[max(0, first - far) : first - near],
            jolts[second + near : second + far],
        )
        in_time = first - near > 0 and first <= latest_s * rate_hz
        if second - first > longest or not in_time or not len(after):
            continue
        rest = max(np.quantile(before, _REST_QUANTILE), np.quantile(after, _REST_QUANTILE))
        pairs.append((float(min(jolts[first], jolts[second]) / (rest + _NOISE_G)), number))
    contrast, number = max(pairs, default=(0.0, 0))
    if contrast < _LOWEST_CONTRAST:
        return None
    chosen = peaks[number]
    others = [c for c, n in pairs if abs(peaks[n] - chosen) > far]
    weakest = min(jolts[chosen], jolts[peaks[number + 1]]) / 2
    while (
        number
        and peaks[number] - peaks[number - 1] <= _SAME_TAPS_S * rate_hz
        and jolts[peaks[number - 1]] >= weakest
    ):
        number -= 1
    return DoubleTap(
        time_s=(peaks[number] + 1) / rate_hz,
        contrast=contrast,
        next_contrast=max(others, default=0.0),
    )


def _peaks(jolts: np.ndarray, distance: int) -> list[int]:
    """Return the ascending positions of jolts that are the strongest within a distance."""
    inner = jolts[1:-1]
    is_peak = (inner >= _LOWEST_JOLT_G) & (inner >= jolts[:-2]) & (inner > jolts[2:])
    peaks: list[int] = []
    for index in (np.flatnonzero(is_peak) + 1).tolist():
        if peaks and index - peaks[-1] < distance:
            if jolts[index] > jolts[peaks[-1]]:
                peaks[-1] = index
        else:
            peaks.append(index)
    return peaks

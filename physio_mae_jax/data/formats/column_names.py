"""Classification of table columns by name: channel, time, sample number, label, or unknown.

Programs that export tables write clocks, counters and codes beside the signals. Used as a
channel, such a column would leak information: a ramp reveals the position in the recording, a
label reveals the target.
"""

import collections
import dataclasses
import re
from collections.abc import Collection, Sequence
from typing import Literal

from physio_mae_jax.signals.channels import canonical_name, channel_id, is_ecg
from physio_mae_jax.signals.units import canonical_unit

Kind = Literal["channel", "likely", "time", "index", "label", "unknown", "unnamed"]


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_UNIT_TERMS = {
    "s": "s sec secs second seconds sekunden",
    "ms": "ms msec msecs millis millisec millisecs millisecond milliseconds",
    "us": "us µs μs usec usecs micros microsec microsecond microseconds",
    "ns": "ns nsec nsecs nanos nanosec nanosecond nanoseconds",
    "min": "min mins minute minutes",
    "h": "h hr hrs hour hours",
    "d": "d day days",
}
_TIME_UNITS = {word: unit for unit, words in _UNIT_TERMS.items() for word in words.split()}
# Without a word for time these may mean a size, a minimum, or one part of a date.
_AMBIGUOUS_ALONE = {"s", "us", "min", "h", "hr", "d", "day", "hour", "minute", "second"}
_TIME_TERMS = _set(
    "time timestamp timestamps datetime date t ts clock epoch elapsed timecode uptime unixtime "
    "localtime systime systemtime devicetime walltime runtime elapsedtime reltime abstime utctime "
    "gpstime rtctime zeit zeitstempel tiempo 时间 時間 时间戳 時間戳"
)
# Words that do not change the meaning beside a word for time.
_TIME_FILLERS = _set(
    "unix local utc gmt sensor phone device system sys relative rel since start started from begin "
    "in the of recording record rec sample packet formatted cal raw lsl ntp gps rtc host iso "
    "iso8601 posix absolute abs wall real stamp zone tz session total hh mm ss mmm fff"
)
# Names with another common meaning: a temperature, a sleep epoch, a date.
_WEAK_TIMES = {"T", "date", "epoch", "clock"}
_CLOCK_NAME = re.compile(r"(?i:h{1,2}:m{1,2}|m{1,2}:s{1,2})")
_SECONDS_WORDS = {"time", "timestamp", "timestamps", "t", "second", "seconds"}

_INDEX_NOUNS = _set(
    "sample samples index idx indices frame frames packet packets row rows counter seq sequence n "
    "nr no num number unnamed smp sampleno sampleidx sampleindex samplenumber samplenum sampleid "
    "frameno framenumber packetid packetno rownum rowid rowindex nseq lineno"
)
_INDEX_FILLERS = _set("count cnt id data point line level of the i")

_LABEL_TERMS = _set(
    "label labels class classes annotation annotations annot annots ann target targets event "
    "events marker markers trigger triggers subject subjects subj patient patients participant "
    "participants person id ids uid uuid pid record records recording recordings age sex gender "
    "fold folds split diagnosis diagnoses dx rhythm groundtruth"
)
# Beside the name of a signal they make it something else: 'ppg_quality' is not a signal.
_QUALIFIERS = _set(
    "code codes state status flag flags quality sqi valid mask group condition activity task "
    "phase block stage stim type category range index idx counter counts number peak peaks beat "
    "beats error battery"
)
_SIGNAL_TERMS = _set(
    "ecg ekg ppg bvp pleth eeg exg emg eog eda gsr scr scl resp respiration breathing acc accel "
    "accelerometer gyro gyr gyroscope mag magnetometer temp temperature spo2 sao2 "
    "abp art cvp icp pap pressure lead heart hr bpm pulse pr rr rri ibi heartrate hrv etco2 co2 "
    "flow strain impedance imp cap capno red green infrared ir ambient skin thorax thoracic "
    "abdomen abdominal chest nasal airflow phono pcg scg bcg"
)
# In the spelling of ``canonical_unit``.
_UNITS = _set("nV uV mV V mmHg kPa cmH2O degC degF uS mS % g mg adu m/s^2 deg/s bpm l/min")
_BRACKETED = re.compile(r"(.*\S)\s*[\[(]([^\[\]()]*)[\])]\s*")


@dataclasses.dataclass(frozen=True)
class TimeName:
    """Meaning of the name of a time column.

    Attributes:
        unit: One of 's', 'ms', 'us', 'ns', 'min', 'h', 'd'; None where the name states none.
        plain: Whether the name means the sample time; otherwise it is one only if its values are
            uniform.
        seconds: Whether the name usually means seconds; a stated rate must then match exactly.
    """

    unit: str | None
    plain: bool
    seconds: bool


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table by its name.

    Attributes:
        index: Column position in the table, from 0.
        spelled: Name as in the file, without surrounding blanks.
        name: The same without quotes and unit.
        unit: Unit of the samples as spelled in the file; '' where there is none.
        kind: Column kind; 'likely' is a signal whose name is outside the vocabulary, 'unknown' may
            be anything.
        time: Meaning of a time column's name; None for other kinds.
    """

    index: int
    spelled: str
    name: str
    unit: str
    kind: Kind
    time: TimeName | None = None

    def get_listed_name(self, listed: Sequence[str]) -> str:
        """Return the spelling by which a manifest lists the column, else its plain name."""
        requested_names = set(map(canonical_name, listed))
        forms = (self.name, self.spelled, unquote(self.spelled))
        return next((form for form in forms if canonical_name(form) in requested_names), self.name)


def classify_columns(header: Sequence[str], units: Sequence[str] = ()) -> tuple[Column, ...]:
    """Classify each column of a table by its name.

    Args:
        header: Column names as in the file, '' for a column without one.
        units: Cells of the unit line below the names; empty if there is none.
    """
    plain = [unquote(name) for name in header]
    split_names = [_split_unit(name) for name in plain]
    canonical = [canonical_name(name) for name, _ in split_names]
    count = collections.Counter(canonical)
    lowercase_names = {name.lower() for name in plain}
    columns = []
    for index, (name, unit) in enumerate(split_names):
        below = unquote(units[index]) if index < len(units) else ""
        time = None
        # 'T (degC)' is not a time; 'us' means microseconds or microsiemens.
        if not is_known_channel(name) and (not unit or unit.lower() in _TIME_UNITS):
            time = _time_name(plain[index], below)
        kind: Kind = "time" if time else _kind(name, lowercase_names)
        if unit and count[canonical[index]] > 1:
            # 'II (mV)' and 'II (adu)' differ only by their units.
            name = plain[index]
        columns.append(Column(index, header[index].strip(), name, unit or below, kind, time))
    return tuple(columns)


def unquote(name: str) -> str:
    """Return a name without blanks, and without quotes around it."""
    name = name.strip()
    for _ in range(2):
        if len(name) > 1 and name[0] == name[-1] and name[0] in "'\"":
            name = name[1:-1].strip()
    return name


def is_known_channel(name: str) -> bool:
    """Return whether a channel is in the vocabulary."""
    return channel_id(name) != 0 or is_ecg(name)


def is_unit(text: str) -> bool:
    """Return whether a cell below the names is the unit of its column."""
    text = unquote(text)
    if text.lower() in _TIME_UNITS or _CLOCK_NAME.match(text):
        return True
    return _is_known_unit(text)


def _split_unit(name: str) -> tuple[str, str]:
    """Split 'ECG (mV)' into name and unit; anything that is not a unit stays in the name."""
    match = _BRACKETED.fullmatch(name)
    if match and _is_known_unit(match[2].strip()):
        return match[1], match[2].strip()
    return name, ""


def _is_known_unit(text: str) -> bool:
    return len(text) <= 20 and canonical_unit(text) in _UNITS


def _words(name: str) -> list[str]:
    """Split a name at blanks, punctuation and inner capitals.

    'LocalTimestamp' is local, timestamp.
    """
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.replace("#", " number "))
    words = re.findall(r"[^\W_]+", text.lower())
    return [re.sub(r"^(time|timestamp)\d+$", r"\1", word) for word in words]


def _kind(name: str, header: Collection[str]) -> Kind:
    """Classify a column that is not a time; ``header`` contains all names in lower case."""
    if not name:
        return "unnamed"
    # In lower case it is a loop index rather than lead I.
    if name == "i":
        return "unknown"
    if is_known_channel(name):
        return "channel"
    words = _words(name)
    if _is_index(words):
        return "index"
    if not _LABEL_TERMS.isdisjoint(words):
        return "label"
    if {"x", "y", "z"} <= set(header) and name.lower() in "xyz":
        return "likely"
    signal = any(word in _SIGNAL_TERMS or word.rstrip("xyz0123456789") in _SIGNAL_TERMS
                 for word in words)  # fmt: skip
    return "likely" if signal and _QUALIFIERS.isdisjoint(words) else "unknown"


def _is_index(words: Sequence[str]) -> bool:
    plain = [word for word in words if not word.isdigit()]
    return any(word in _INDEX_NOUNS for word in plain) and all(
        word in _INDEX_NOUNS or word in _INDEX_FILLERS for word in plain
    )


def _time_name(name: str, below: str = "") -> TimeName | None:
    """Return the meaning of a time column's name, None for any other column.

    Args:
        name: Column name without quotes, with its unit.
        below: Cell below the name in the unit line.
    """
    words = _words(re.sub(r"(?i)(?<=[^a-z])of[ _]day", "", name))
    units = {_TIME_UNITS[word] for word in words if word in _TIME_UNITS}
    unit = units.pop() if len(units) == 1 else None
    bases = [word for word in words if word in _TIME_TERMS]
    if "t" in bases and len(bases) == 1:
        # 't' means time only at the start of a name and beside units.
        bases = bases if words[0] == "t" and set(words[1:]) <= set(_TIME_UNITS) else []
    if not bases:
        alone = len(words) == 1 and unit is not None and words[0] not in _AMBIGUOUS_ALONE
        if not alone and not (_CLOCK_NAME.match(name) and not units):
            return None
    rest = [w for w in words if w not in _TIME_TERMS and w not in _TIME_UNITS and not w.isdigit()]
    plain = name not in _WEAK_TIMES and all(word in _TIME_FILLERS for word in rest)
    below_unit = _TIME_UNITS.get(below.lower())
    if _BRACKETED.fullmatch(name) is None and unit == "d" and words[-1] not in _TIME_UNITS:
        unit = None
    seconds = (
        words[:1] != []
        and words[0] in _SECONDS_WORDS
        and all(_TIME_UNITS.get(word) == "s" for word in words[1:])
    )
    return TimeName(unit=unit or below_unit, plain=plain, seconds=seconds and plain)

"""The text of WFDB headers, for what a layout asks of many records before it reads any.

Format: G. B. Moody, WFDB Applications Guide, header(5),
https://physionet.org/physiotools/wag/header-5.htm. Samples are read by ``data.wfdb_record``.
"""

import dataclasses
import re
from pathlib import Path

from physio_mae_jax.data.formats.layout import UnreadableError, naming

_EXPECTED = "a WFDB header"
_RATE_UNLESS_STATED_HZ = 250.0
_UNIT_UNLESS_STATED = "mV"
# 16, 16+24, 80x4, 212x2:3+8: the format and the samples in a frame.
_FORMAT = re.compile(r"(\d+)(?:x(\d+))?(?::\d+)?(?:\+\d+)?")
_CHECKSUM_FIELD = 6
_DESCRIPTION_FIELD = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class WfdbHeader:
    """What a header says; of one that joins segments only the first line is read.

    Attributes:
        num_segments: 1 of an ordinary record.
        num_samples: of each signal; 0 where the header does not say.
        sampling_rate_hz: frames a second.
        channels: descriptions of the signals [M], as spelled there.
        units: [M].
        samples_per_frame: [M]; above 1 where a signal has a multiple of the rate.
        checksums: [M], None where there is none.
        comments: lines that begin with '#', without it.
    """

    num_segments: int
    num_samples: int
    sampling_rate_hz: float
    channels: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    samples_per_frame: tuple[int, ...] = ()
    checksums: tuple[int | None, ...] = ()
    comments: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Duration; 0 where the header does not say."""
        return self.num_samples / self.sampling_rate_hz


def read_header(path: Path) -> WfdbHeader:
    """Read the header of a record.

    Raises:
        UnreadableError: the file cannot be read or is no WFDB header.
    """
    with naming(path, _EXPECTED, (OSError, ValueError, LookupError)):
        text = path.read_text(encoding="latin-1")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        comments = tuple(line[1:].strip() for line in lines if line.startswith("#"))
        first, *signals = [line for line in lines if not line.startswith("#")] or [""]
        name, num_signals, *rest = first.split()
        rate_hz = float(re.split(r"[/(]", rest[0])[0]) if rest else _RATE_UNLESS_STATED_HZ
        num_samples = int(rest[1]) if len(rest) > 1 else 0
        if rate_hz <= 0 or num_samples < 0 or int(num_signals) < 0:
            raise ValueError(f"its first line reads {first!r}")
        num_segments = int(name.partition("/")[2] or 1)
        if num_segments > 1:
            signals = []
        elif len(signals) < int(num_signals):
            raise UnreadableError(
                f"{path} announces {num_signals} signals and describes {len(signals)}; it is cut "
                "short. Copy it again."
            )
        fields = [line.split(maxsplit=_DESCRIPTION_FIELD) for line in signals[: int(num_signals)]]
        return WfdbHeader(
            num_segments=num_segments,
            num_samples=num_samples,
            sampling_rate_hz=rate_hz,
            channels=tuple(
                f[_DESCRIPTION_FIELD] if len(f) > _DESCRIPTION_FIELD else "" for f in fields
            ),
            units=tuple(_unit(f[2]) if len(f) > 2 else _UNIT_UNLESS_STATED for f in fields),
            samples_per_frame=tuple(_samples_per_frame(f[1]) for f in fields),
            checksums=tuple(
                int(f[_CHECKSUM_FIELD]) if len(f) > _CHECKSUM_FIELD else None for f in fields
            ),
            comments=comments,
        )


def _samples_per_frame(text: str) -> int:
    parts = _FORMAT.fullmatch(text)
    if parts is None:
        raise ValueError(f"a signal has the format {text!r}")
    return int(parts[2] or 1)


def _unit(gain: str) -> str:
    """Return the unit of a gain such as '200(0)/mV'."""
    return gain.partition("/")[2] or _UNIT_UNLESS_STATED

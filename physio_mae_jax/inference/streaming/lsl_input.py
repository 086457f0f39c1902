"""Samples of a device by the lab streaming layer (LSL), which many amplifiers and straps send.

``pylsl`` is the extra ``lsl``; it is imported where it is used.
"""

import importlib
from collections.abc import Iterator, Sequence
from types import ModuleType

import numpy as np

from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.inference.samples import Samples
from physio_mae_jax.inference.signal_metadata import require_units_or_gain
from physio_mae_jax.inference.streaming.sample_clock import SampleClock
from physio_mae_jax.printable import show
from physio_mae_jax.signals.channels import canonical_name
from physio_mae_jax.signals.units import canonical_unit
from physio_mae_jax.types import JsonObject, Untyped

_SEARCH_SECONDS = 2.0
_INFO_SECONDS = 5.0
_PIECE_SECONDS = 0.2
# A buffer that is so full may have lost samples, or will soon.
_FULL = 0.9
_RATE_TOLERANCE = 1e-3


class LslInput:
    """A stream of LSL: its description, and its samples with NaN where some are missing.

    Attributes:
        name: Name of the stream.
        description: sampling_rate_hz, channels, units and, if given, gain; as for
            ``Encoder.stream``.
    """

    def __init__(
        self,
        *,
        name: str | None = None,
        kind: str | None = None,
        given: JsonObject | None = None,
        gap_seconds: float = 0.1,
        timeout_seconds: float = 10.0,
        buffer_seconds: int = 60,
    ) -> None:
        """Find a stream and open it.

        Args:
            name: Name of the stream; None for any.
            kind: Type of the stream, such as 'ECG'; None for any.
            given: sampling_rate_hz, channels (names separated by commas), units and gain as the
                user states them: what the stream states too must be equal.
            gap_seconds: Time stamps that are later than expected by more are a gap.
            timeout_seconds: Time without a sample after which the stream is given up.
            buffer_seconds: Signal that may wait to be read.

        Raises:
            UserError: pylsl is not installed, no stream or several fit, or a statement differs.
        """
        self._pylsl = _import_pylsl()
        found = _choose(self._pylsl.resolve_streams(_SEARCH_SECONDS), name, kind)
        self.name = str(found.name())
        self._inlet = self._pylsl.StreamInlet(found, max_buflen=buffer_seconds, recover=True)
        try:
            info = self._inlet.info(timeout=_INFO_SECONDS)
            self._inlet.open_stream(timeout=_INFO_SECONDS)
        except (self._pylsl.TimeoutError, self._pylsl.LostError) as error:
            raise DataError(f"the LSL stream {self.name!r} does not answer; start it again.") from (
                error
            )
        self.description = _described(self._pylsl, info, self.name, given or {})
        self._rate_hz = float(info.nominal_srate())
        self._clock = SampleClock(self._rate_hz, gap_seconds)
        self._timeout_seconds = timeout_seconds
        self._buffer_seconds = buffer_seconds
        self._dtype = np.float32 if _is_float32(self._pylsl, info) else np.float64

    def pieces(self) -> Iterator[np.ndarray]:
        """Yield the samples [M, n] as they arrive, NaN where time stamps have a gap.

        Raises:
            DataError: No sample arrives for a while, time stamps go back, or samples arrive faster
                than they are taken, before one of them is lost.
        """
        size = max(1, round(_PIECE_SECONDS * self._rate_hz))
        waited = 0.0
        while waited < self._timeout_seconds:
            self._check_waiting()
            values, stamps = self._inlet.pull_chunk(timeout=_PIECE_SECONDS, max_samples=size)
            if not stamps:
                waited += _PIECE_SECONDS
                continue
            waited = 0.0
            samples = np.asarray(values, self._dtype).T
            yield from self._clock.with_gaps(samples, np.asarray(stamps, np.float64))
        raise DataError(
            f"the LSL stream {self.name!r} sent no sample for {self._timeout_seconds:g} s; check "
            "that the device is on, or give a longer --lsl_timeout_seconds."
        )

    def _check_waiting(self) -> None:
        waiting = self._inlet.samples_available() / self._rate_hz
        if waiting > _FULL * self._buffer_seconds:
            raise DataError(
                f"{waiting:.0f} s of the LSL stream {self.name!r} wait to be encoded, and the next "
                f"samples would be lost (at most {self._buffer_seconds} s may wait); give a longer "
                "--hop_seconds, or a smaller model."
            )


def _import_pylsl() -> ModuleType:
    try:
        return importlib.import_module("pylsl")
    except (ImportError, RuntimeError) as error:  # RuntimeError: pylsl without the library liblsl
        raise UserError(
            f"--input=lsl needs pylsl, which cannot be imported ({str(error)[:200]}). Install it "
            'by pip install "physio_mae_jax[lsl]".'
        ) from error


def _choose(found: Sequence[Untyped], name: str | None, kind: str | None) -> Untyped:
    """Return the only stream of a name and a type."""
    fitting = [
        one
        for one in found
        if (name is None or one.name() == name) and (kind is None or one.type() == kind)
    ]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(sorted(f"{one.name()} (type {one.type()})" for one in found)) or "none"
    wanted = " ".join(
        f"{key}={value!r}" for key, value in (("name", name), ("type", kind)) if value is not None
    )
    problem = f"{len(fitting)} LSL streams fit" if fitting else "no LSL stream fits"
    raise ConfigError(
        f"{problem} {wanted or 'any name'}; the streams in this network are: {names}. Choose one "
        "by --lsl_name or --lsl_type, and check that it is sending."
    )


def _described(pylsl: ModuleType, info: Untyped, name: str, given: JsonObject) -> JsonObject:
    """Return the description of a stream, checked against what the user states."""
    where = f"the LSL stream {name!r}"
    rate_hz, count = float(info.nominal_srate()), int(info.channel_count())
    if rate_hz <= 0:
        raise DataError(f"{where} has no regular sampling rate; a signal with one is needed.")
    if info.channel_format() == pylsl.cf_string:
        raise DataError(f"{where} holds text; a stream of numbers is needed.")
    stated = given.get("sampling_rate_hz")
    if stated is not None and abs(stated / rate_hz - 1) > _RATE_TOLERANCE:
        raise DataError(
            f"{where} has {rate_hz:g} Hz, but --sampling_rate_hz={stated:g} is given; remove it."
        )
    channels = _names(info.get_channel_labels(), given.get("channels"), count, where)
    units = _units(info.get_channel_units(), given.get("units"), count, where)
    description = {"sampling_rate_hz": rate_hz, "channels": channels, "units": units}
    if given.get("gain") is not None:
        description["gain"] = given["gain"]
    if info.channel_format() not in (pylsl.cf_float32, pylsl.cf_double64):
        gain = None if given.get("gain") is None else np.full(count, given["gain"])
        samples = Samples(np.zeros((count, 1), np.int32), are_integers=True)
        require_units_or_gain(samples, units, gain, where)
    return description


def _names(found: Sequence[str | None] | None, given: str | None, count: int, where: str) -> list:
    """Return the names of the channels of a stream."""
    labels = [label or "" for label in found or []]
    names = [name.strip() for name in given.split(",")] if given else labels
    if len(names) != count or not all(names):
        raise DataError(
            f"{where} has {count} channels, and names {', '.join(filter(None, names)) or 'none'}; "
            "give the name of each in order by --channels, such as --channels=II,PPG."
        )
    both = zip(names, labels, strict=False)
    if any(label and canonical_name(name) != canonical_name(label) for name, label in both):
        raise DataError(
            f"{where} has the channels {', '.join(labels)}, but --channels={given} is given; "
            "remove it, or name the channels in the order of the stream."
        )
    return names


def _units(found: Sequence[str | None] | None, given: str | None, count: int, where: str) -> list:
    """Return the units of the channels of a stream, '' where unknown."""
    stated = [unit or "" for unit in found or []] or [""] * count
    if given is None:
        return stated
    if any(unit and canonical_unit(unit) != canonical_unit(given) for unit in stated):
        raise DataError(
            f"{where} has the units {show(stated)}, but --units={given} is given; remove it."
        )
    return [given] * count


def _is_float32(pylsl: ModuleType, info: Untyped) -> bool:
    return bool(info.channel_format() == pylsl.cf_float32)

"""What a stream is given, and the samples that each of its windows needs."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from physio_mae_jax.data.arrays import absent_rows, find_gaps, physical_values
from physio_mae_jax.data.channel_plan import ChannelPlan
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.data.window_transform import WindowConfig, make_window, plan_window
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference.arguments import setting, texts
from physio_mae_jax.inference.inputs import as_recordings
from physio_mae_jax.inference.recording_plan import (
    ModelInput,
    channel_bucket,
    check_known_channels,
)
from physio_mae_jax.inference.samples import Samples, samples_of
from physio_mae_jax.inference.signal_metadata import (
    SignalMetadata,
    gain_of,
    require_units_or_gain,
)
from physio_mae_jax.inference.streaming.sample_buffer import SampleBuffer
from physio_mae_jax.inference.window_batches import pad_columns
from physio_mae_jax.inference.window_rows import IN_GAP, IS_FLAT
from physio_mae_jax.setting_kinds import Number
from physio_mae_jax.signals.channels import canonical_name
from physio_mae_jax.types import JsonObject

NAME = "the stream"
_HOP = Number(low=1e-3, high=86_400.0, example=1.0)
# Position of a sample that no stream reaches: then no window is limited by the end of the signal.
_FAR = 2**62


class StreamWindow(NamedTuple):
    """One window of a stream.

    Attributes:
        entries: Entries of the window, see ``window_batches.pad_columns``; None if it is rejected.
        rejected: See ``StreamRow``.
        masked: See ``StreamRow``.
    """

    entries: dict[str, np.ndarray] | None
    rejected: str
    masked: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class StreamLayout:
    """Signal of a stream, and where its windows are.

    Attributes:
        model: Windows of the model.
        info: Description of the signal; its number of samples has no meaning.
        plan: Channels of the windows.
        gain: ADC counts per unit [M]; None if the samples are not counts.
        hop_columns: Columns from one window to the next.
    """

    model: ModelInput
    info: RecordingInfo
    plan: ChannelPlan
    gain: np.ndarray | None
    hop_columns: int

    @classmethod
    def of(
        cls, model: ModelInput, description: SignalMetadata, hop_seconds: object
    ) -> "StreamLayout":
        """Lay the windows of a model over a signal.

        Args:
            model: Windows of the model.
            description: Description of the signal.
            hop_seconds: Distance between windows; None for half a window.

        Raises:
            ConfigError: The hop is not a whole number of columns.
            DataError: The description is incomplete, or a channel is unknown.
        """
        names = texts(description.channels, f"{NAME}: channels", "name each row, such as 'II'")
        named = dataclasses.replace(description, names=NAME)
        source = as_recordings(np.zeros((len(names), 2)), named).recordings
        check_known_channels(source, model.channels)
        (info,) = source.recordings
        gain = gain_of(description.gain, len(names), NAME)
        plan = model.planner().plan(info)
        return cls(
            model=model,
            info=info,
            plan=plan,
            gain=gain,
            hop_columns=_hop_columns(hop_seconds, model),
        )

    @property
    def column_seconds(self) -> float:
        """Duration of a column in seconds."""
        return self.model.column_samples / self.model.window.sampling_rate_hz

    @property
    def delay_seconds(self) -> float:
        """Upper bound of the time from the last sample of a window to its row, seconds.

        It is the signal after a window that the filters of its end need.
        """
        change = self.model.window.change(self.info)
        band = self.model.window.band
        margin_seconds = 0.0
        if band:
            margin_seconds = band.margin_samples / self.model.window.sampling_rate_hz
        if change.up == change.down:
            return margin_seconds
        # The last sample of a window lies up to one sample before those that are counted here.
        return margin_seconds + (change.source_span(0, 0, _FAR)[1] + 1) / self.info.sampling_rate_hz

    def checked(self, samples: object) -> np.ndarray:
        """Return received samples as [M, n].

        Raises:
            DataError: The shape does not fit, or they are counts without units or gain.
        """
        found = samples_of(samples, "the samples")
        values, names = found.values, self.info.channel_names
        if values.ndim == 1 and len(names) == 1:
            values = values[None]
        if values.ndim != 2 or len(values) != len(names):
            raise DataError(
                f"the samples have shape {found.values.shape}; [{len(names)}, n] is expected, a "
                f"row for each of {', '.join(names)}. {_hint(values, len(names))}"
            )
        if values.shape[1]:
            given = Samples(values, found.are_integers)
            require_units_or_gain(given, self.info.units, self.gain, "the signal")
        return values

    def settings(self) -> JsonObject:
        """Return what must be equal where a stream is resumed."""
        return {
            "sampling_rate_hz": self.info.sampling_rate_hz,
            "channels": list(self.info.channel_names),
            "units": list(self.info.units),
            "gain": None if self.gain is None else self.gain.tolist(),
            "hop_columns": self.hop_columns,
        }

    def num_columns_of(self, num_samples: int) -> int:
        """Count the whole columns of a signal of so many samples."""
        return self.model.columns_of(dataclasses.replace(self.info, num_samples=num_samples))

    def stop_of(self, column: int) -> int:
        """Return how many samples must be received for the window that begins at a column."""
        return self._span(column)[1]

    def first_of(self, column: int) -> int:
        """Return the first sample that the window needs."""
        return self._span(column)[0]

    def _span(self, column: int) -> tuple[int, int]:
        info = dataclasses.replace(self.info, num_samples=_FAR)
        start = column * self.model.column_samples
        spec = plan_window(info, self.plan, self._config(self.model.num_columns), start)
        return spec.first, spec.last

    def _config(self, num_columns: int) -> WindowConfig:
        return dataclasses.replace(
            self.model.window,
            num_channels=channel_bucket(len(self.plan.channels)),
            num_samples=num_columns * self.model.column_samples,
        )

    def window(self, samples: SampleBuffer, column: int, num_columns: int) -> StreamWindow:
        """Make a window of the samples received.

        Args:
            samples: Samples of the signal, those of the window among them.
            column: First column of the window.
            num_columns: Number of its columns; fewer than those of the model are padded.
        """
        info = dataclasses.replace(self.info, num_samples=samples.stop)
        config, start = self._config(num_columns), column * self.model.column_samples
        change = config.change(info)
        first, last, _ = change.source_span(start, config.num_samples, info.num_samples)
        # A channel without any value in the window is absent from it, as in a recording.
        missing = find_gaps(samples.read(first, last))
        absent = absent_rows(missing, last - first)
        used = self.plan.montage.sources
        kept = set(used) - set(absent)
        if not kept or any(row in kept for row, _, _ in missing):
            return StreamWindow(None, IN_GAP, self._names(absent))
        spec = plan_window(info, self.plan, config, start)
        gaps = tuple(
            (row, spec.first + begin, spec.first + end)
            for row, begin, end in find_gaps(samples.read(spec.first, spec.last))
            if row in kept
        )
        if gaps:  # within the context of the band-pass, which then is not used
            info = dataclasses.replace(info, gaps=gaps)
            spec = plan_window(info, self.plan, config, start)
        raw = physical_values(samples.read(spec.first, spec.last), self.gain, absent)
        example = make_window(raw, spec)
        varies = example["channel_mask"][: len(self.plan.channels)]
        masked = tuple(
            name
            for name, is_present in zip(self.plan.channels, varies, strict=True)
            if not is_present
        )
        if not varies.any():
            return StreamWindow(None, IS_FLAT, masked)
        return StreamWindow(pad_columns(example, np.ones(num_columns), self.model), "", masked)

    def _names(self, rows: Sequence[int]) -> tuple[str, ...]:
        """Return the names of the model's channels that are rows of the signal."""
        given = {canonical_name(self.info.channel_names[row]) for row in rows}
        return tuple(name for name in self.plan.channels if name in given)


def _hint(values: np.ndarray, num_channels: int) -> str:
    """Return the advice for samples of a wrong shape."""
    if values.ndim == 2 and values.shape[1] == num_channels:
        return "Its axes are [sample, channel]; give samples.T."
    return "Give every channel in each call, NaN where it is missing."


def _hop_columns(hop_seconds: object, model: ModelInput) -> int:
    """Return the hop in columns."""
    if hop_seconds is None:
        return max(1, round(model.num_columns / 2))
    seconds = setting(hop_seconds, "hop_seconds", _HOP)
    column_seconds = model.column_samples / model.window.sampling_rate_hz
    columns = round(seconds / column_seconds)
    if columns < 1 or abs(columns * column_seconds - seconds) > 1e-6:
        raise ConfigError(
            f"hop_seconds is {seconds:g}, not a whole number of time columns of "
            f"{column_seconds:g} s; give {max(1, columns) * column_seconds:g}."
        )
    return columns

"""Specification of a model's input, stored with the model."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated

from physio_mae_jax.data.channel_plan import ChannelPlan
from physio_mae_jax.data.json_types import Between
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.data.window_transform import NORMALIZATION, WindowConfig
from physio_mae_jax.types import JsonObject


@dataclasses.dataclass(frozen=True, kw_only=True)
class InputSpec:
    """Window format that a model was trained on.

    Attributes:
        channels: All channel names seen in training.
        num_channels: Number of channels M of its windows.
        units: Channel name -> unit, for channels that have one.
        sampling_rate_hz, num_samples: Rate in Hz and length in samples of a window.
        band_hz: (low, high) in Hz of the band-pass applied by the reader; None for no filter.
        normalization: Description of the normalization as text.
        filters: Data set -> description of filters applied at its source.
    """

    channels: tuple[str, ...]
    num_channels: Annotated[int, Between(1)]
    units: Mapping[str, str]
    sampling_rate_hz: Annotated[float, Between(1e-9)]
    num_samples: Annotated[int, Between(1)]
    band_hz: tuple[float, float] | None
    normalization: str
    filters: Mapping[str, str]

    @classmethod
    def from_window(
        cls, window: WindowConfig, channels: Sequence[str], filters: Mapping[str, str]
    ) -> "InputSpec":
        """Create the specification of windows with the given configuration."""
        return cls(
            channels=tuple(channels),
            num_channels=window.num_channels,
            units={name: unit for name, unit in window.units.items() if name in channels},
            sampling_rate_hz=window.sampling_rate_hz,
            num_samples=window.num_samples,
            band_hz=window.band_hz,
            normalization=NORMALIZATION,
            filters=dict(filters),
        )

    @property
    def window(self) -> WindowConfig:
        """Configuration of such windows, of all channels of a recording."""
        return WindowConfig(
            channels="",
            num_channels=self.num_channels,
            units=self.units,
            sampling_rate_hz=self.sampling_rate_hz,
            num_samples=self.num_samples,
            band_hz=self.band_hz,
        )

    def to_json(self) -> JsonObject:
        """Return the JSON content of the specification."""
        return dataclasses.asdict(self)


def conversion_notes(
    infos: Sequence[RecordingInfo], plans: Sequence[ChannelPlan], window: WindowConfig
) -> list[str]:
    """Describe the distinct conversions from recordings to model input.

    Args:
        infos: Descriptions of the recordings.
        plans: Channel plans of the recordings, in the same order.
        window: Model input.
    """
    notes: dict[str, None] = {}
    for info, plan in zip(infos, plans, strict=True):
        name = info.data_set or "the data"
        for note in plan.montage.notes:
            notes[f"{name}: {note}"] = None
        if plan.missing:
            notes[f"{name}: {', '.join(plan.missing)} missing in some recordings, masked"] = None
        change = rate_note(info.sampling_rate_hz, window.sampling_rate_hz)
        if change:
            notes[f"{name}: resampled {change}"] = None
    if window.band_hz:
        notes[f"band-passed {window.band_hz[0]:g} to {window.band_hz[1]:g} Hz"] = None
    return list(notes)


def rate_note(given_hz: float, wanted_hz: float) -> str:
    """Describe the change of the sampling rate; '' if there is none."""
    if given_hz == wanted_hz:
        return ""
    change = f"from {given_hz:g} to {wanted_hz:g} Hz"
    if given_hz > wanted_hz:
        return change
    return (
        f"{change}; it has no content above {given_hz / 2:g} Hz, but the model was trained on "
        f"content up to {wanted_hz / 2:g} Hz"
    )

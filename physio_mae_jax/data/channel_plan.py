"""Selection and derivation of the model's input channels for each recording."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.channel_derivation import (
    ChannelDerivation,
    derive_channels,
    derived_units,
)
from physio_mae_jax.signals.channels import (
    CHANNEL_PRESETS,
    canonical_name,
    channel_id,
    select_channels,
    trained_channel_id,
)
from physio_mae_jax.signals.units import canonical_unit, is_known_unit


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelPlan:
    """Channels of the windows of a recording.

    Attributes:
        channels: Canonical names [m], in the model's order.
        ids: [m] int32 channel ids of the names.
        montage: Linear derivation from the recording's rows; absent channels have no terms.
    """

    channels: tuple[str, ...]
    ids: np.ndarray
    montage: ChannelDerivation

    @property
    def missing(self) -> tuple[str, ...]:
        """Channels that the recording lacks and that cannot be derived."""
        return tuple(
            name for name, terms in zip(self.channels, self.montage.rows, strict=True) if not terms
        )

    @property
    def present(self) -> tuple[tuple[str, ...], np.ndarray]:
        """Names and ids of the present channels."""
        rows = [row for row, terms in enumerate(self.montage.rows) if terms]
        return tuple(self.channels[row] for row in rows), self.ids[rows]


class ChannelPlanner:
    """Plans the channels of recordings; recordings with equal channels share a plan."""

    def __init__(self, requested: str, units: Mapping[str, str] | None = None) -> None:
        """Create a planner.

        Args:
            requested: Key of ``signals.channels.CHANNEL_PRESETS``, comma-separated names, or '' for
                all channels of each recording.
            units: Channel name -> unit that the channel is converted to.
        """
        self.requested = requested
        self._units = {canonical_name(name): unit for name, unit in (units or {}).items()}
        self._plans: dict[tuple[tuple[str, ...], tuple[str, ...]], ChannelPlan] = {}

    @property
    def names_channels(self) -> bool:
        """True if channels are selected by name, so that one may be missing."""
        return bool(self.requested.strip()) and self.requested.strip() not in CHANNEL_PRESETS

    def plan(self, info: RecordingInfo) -> ChannelPlan:
        """Plan the channels of a recording.

        Raises:
            DataError: no selected channel is present, two rows have the same name, or a row is in
                a unit of another quantity.
        """
        key = (info.channel_names, info.units)
        if key not in self._plans:
            self._plans[key] = self._make_plan(info)
        return self._plans[key]

    def _make_plan(self, info: RecordingInfo) -> ChannelPlan:
        present = tuple(canonical_name(name) for name in info.channel_names)
        where = f"recording {info.record_id!r}"
        channels = self._select_channels(present, where)
        montage = derive_channels(
            channels,
            info.channel_names,
            where,
            target_units=[self._units.get(name, "") for name in channels],
            present_units=info.units,
        )
        return ChannelPlan(channels, np.asarray(self._select_ids(channels), np.int32), montage)

    def _select_ids(self, channels: Sequence[str]) -> list[int]:
        return [channel_id(name) for name in channels]

    def _select_channels(self, present: tuple[str, ...], where: str) -> tuple[str, ...]:
        try:
            return select_channels(self.requested, present)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error


def common_units(infos: Sequence[RecordingInfo]) -> dict[str, str]:
    """Return the first unit found for each channel.

    Derivable limb leads get the unit of the leads they are derived from.
    """
    units: dict[str, str] = {}
    other_units: dict[str, str] = {}  # counts, and unknown units
    for info in infos:
        for name, unit in zip(info.channel_names, map(canonical_unit, info.units), strict=False):
            if unit:
                target = units if is_known_unit(unit) else other_units
                target.setdefault(canonical_name(name), unit)
    units = other_units | units
    return derived_units(units) | units


class KnownChannels(ChannelPlanner):
    """Plans the channels of a recording that a model knows, in a fixed order."""

    def __init__(
        self, known: Sequence[str], units: Mapping[str, str] | None = None, *, derive: bool = False
    ) -> None:
        """Create a planner.

        Args:
            known: Channel names as spelled in the model's input.
            units: Channel name -> unit that the channel is converted to.
            derive: Whether to add limb leads that can be derived from others.
        """
        super().__init__("", units)
        self._trained = {canonical_name(name): trained_channel_id(name) for name in known}
        self._known = sorted(self._trained, key=lambda name: (self._trained[name], name))
        self._derive = derive

    def _select_ids(self, channels: Sequence[str]) -> list[int]:
        return [self._trained[name] for name in channels]

    def _select_channels(self, present: tuple[str, ...], where: str) -> tuple[str, ...]:
        """Select known channels from canonical names in any order."""
        if not self._derive:
            return tuple(name for name in self._known if name in present)
        montage = derive_channels(self._known, present, where)
        rows = zip(self._known, montage.rows, strict=True)
        return tuple(name for name, terms in rows if terms)

"""What files leave unclear of their channels, said aloud once where data is opened.

A name that is not in the vocabulary gives a channel no identity; a unit that is not known may be a
factor of 1000. Neither stops anything by itself: windows are normalised, and a model of one such
channel needs no name for it.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.signals.channels import canonical_name, unidentified
from physio_mae_jax.signals.units import canonical_unit, is_known_unit, is_unclear_unit

_LOG = logging.getLogger(__name__)
_SHOWN = 12


def warn_of_names(where: str, channels: Iterable[Sequence[str]]) -> None:
    """Warn of channels whose names mean nothing here, if there are any.

    Args:
        where: the folder or data set.
        channels: names of each recording's channels.
    """
    counts = Counter(name for names in channels for name in unidentified(names))
    if not counts:
        return
    _LOG.warning(
        "%s: channel names that are not known here: %s. A model cannot tell channels of such names "
        "apart. If one is a known channel in another spelling, rename it in the manifest: "
        '"channels": {"name in the file": "II"}; or choose others with data.channels.',
        where,
        _some([name if count == 1 else f"{name} (in {count})" for name, count in counts.items()]),
    )


def warn_of_units(
    where: str, recordings: Iterable[tuple[str, Sequence[str], Sequence[str]]]
) -> None:
    """Warn of units that mean nothing here, and of channels whose unit is known in part only.

    Args:
        where: the folder or data set.
        recordings: name, channels and units (as spelled) of each file or recording.
    """
    unclear: dict[str, list[str]] = defaultdict(list)
    known: dict[str, set[str]] = defaultdict(set)
    without: dict[str, list[str]] = defaultdict(list)
    for name, channels, units in recordings:
        for channel, unit in zip(channels, units, strict=False):
            if is_unclear_unit(unit):
                unclear[unit].append(f"{channel} of {name}")
            if is_known_unit(unit):
                known[channel].add(canonical_unit(unit))
            else:
                without[channel].append(name)
    if unclear:
        texts = [f"{unit!r} ({places[0]}{_more(places)})" for unit, places in unclear.items()]
        _LOG.warning(
            "%s: the unit %s is not known here, and nothing is converted. If it was to be µV or "
            "another one, correct it in the file, or convert the samples.",
            where,
            _some(texts),
        )
    for channel, names in without.items():
        if known[channel]:
            _LOG.warning(
                "%s: channel %s is in %s, but of %s the unit is not known; nothing is converted "
                "there, and it may be off by a factor of 1000. Say it in the file, or in the "
                "manifest's 'units'.",
                where,
                channel,
                " and ".join(sorted(known[channel])),
                _some(names),
            )


def warn_of_names_understood_since(model: str, trained: Sequence[str]) -> None:
    """Warn where a model was trained on names that mean something since, and meant nothing then.

    Args:
        model: where it comes from.
        trained: the channel names of its contract.
    """
    names = [f"{n} ({canonical_name(n)})" for n in trained if canonical_name(n) != n]
    if names:
        _LOG.warning(
            "%s was trained by a version that did not know the channel names %s: it has learned no "
            "vectors for them, and gives other results with data in which they are known. Train it "
            "anew for such channels.",
            model,
            _some(names),
        )


def refuse_channels_alike(
    channels: Iterable[tuple[str, Sequence[str], np.ndarray]], num_names: int
) -> None:
    """Refuse recordings of which two channels or more are the same to a model.

    Args:
        channels: of each recording its id, the names of the channels that it has, and their ids.
        num_names: that the model has vectors for.

    Raises:
        ConfigError: a recording has two channels or more that no vector of a name tells apart.
    """
    for record, names, ids in channels:
        alike = [n for n, i in zip(names, ids, strict=True) if i == 0 or i >= num_names]
        if len(alike) > 1:
            raise ConfigError(
                f"recording {record!r}: the model tells channels apart by their names, and does "
                f"not know {_some(alike)}. Choose channels that it knows with "
                "--config.data.channels=..., or rename these in the manifest "
                '("channels": {"name in the file": "EEG C3"}). Where it may treat channels alike '
                "whatever they are, a new model is told so by "
                "--config.model.channel_embedding=False."
            )


def _some(texts: Sequence[str]) -> str:
    more = len(texts) - _SHOWN
    return ", ".join(texts[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _more(places: Sequence[str]) -> str:
    return f" and {len(places) - 1} more" if len(places) > 1 else ""

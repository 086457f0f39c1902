"""Warnings about unknown channel names and units, logged when data is opened.

A channel whose name is not in the vocabulary has no channel embedding; an unknown unit may hide a
factor of 1000. Neither is an error by itself: windows are normalized, and a single-channel model
needs no name.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.signals.channels import canonical_name, find_unidentified
from physio_mae_jax.signals.units import canonical_unit, is_known_unit, is_unclear_unit

_LOG = logging.getLogger(__name__)
_SHOWN = 12


def warn_about_names(where: str, channels: Iterable[Sequence[str]]) -> None:
    """Warn about unknown channel names.

    Args:
        where: Name of the folder or data set.
        channels: Channel names of each recording.
    """
    counts = Counter(name for names in channels for name in find_unidentified(names))
    if not counts:
        return
    _LOG.warning(
        "%s: unknown channel names: %s. A model cannot distinguish channels with such names. If "
        "one is a known channel in another spelling, rename it in the manifest: "
        '"channels": {"name in the file": "II"}; or choose others with data.channels.',
        where,
        _abbreviate(
            [name if count == 1 else f"{name} (in {count})" for name, count in counts.items()]
        ),
    )


def warn_about_units(
    where: str, recordings: Iterable[tuple[str, Sequence[str], Sequence[str]]]
) -> None:
    """Warn about unknown units, and about channels whose unit is known in some recordings only.

    Args:
        where: Name of the folder or data set.
        recordings: Name, channels and units (as spelled) of each file or recording.
    """
    unclear_units: dict[str, list[str]] = defaultdict(list)
    known: dict[str, set[str]] = defaultdict(set)
    without_unit: dict[str, list[str]] = defaultdict(list)
    for name, channels, units in recordings:
        for channel, unit in zip(channels, units, strict=False):
            if is_unclear_unit(unit):
                unclear_units[unit].append(f"{channel} of {name}")
            if is_known_unit(unit):
                known[channel].add(canonical_unit(unit))
            else:
                without_unit[channel].append(name)
    if unclear_units:
        texts = [f"{unit!r} ({found[0]}{_more(found)})" for unit, found in unclear_units.items()]
        _LOG.warning(
            "%s: the unit %s is not known, and samples are not converted. If µV or another unit is "
            "intended, correct it in the file, or convert the samples.",
            where,
            _abbreviate(texts),
        )
    for channel, names in without_unit.items():
        if known[channel]:
            _LOG.warning(
                "%s: channel %s is in %s, but its unit is not known in %s; these samples are not "
                "converted and may be off by a factor of 1000. Give the unit in the file, or in "
                "the manifest's 'units'.",
                where,
                channel,
                " and ".join(sorted(known[channel])),
                _abbreviate(names),
            )


def warn_about_newly_recognized_names(model: str, trained: Sequence[str]) -> None:
    """Warn if a model was trained on channel names that were added to the vocabulary later.

    Args:
        model: Origin of the model.
        trained: Channel names of its input.
    """
    names = [f"{n} ({canonical_name(n)})" for n in trained if canonical_name(n) != n]
    if names:
        _LOG.warning(
            "%s was trained by a version that did not know the channel names %s: it has no learned "
            "embeddings for them, and its results differ with data in which they are known. "
            "Retrain it for such channels.",
            model,
            _abbreviate(names),
        )


def reject_duplicate_channels(
    channels: Iterable[tuple[str, Sequence[str], np.ndarray]], num_names: int
) -> None:
    """Reject recordings with two or more channels that a model cannot distinguish.

    Args:
        channels: Id, names of present channels and channel ids [m] of each recording.
        num_names: Number of channel names with an embedding in the model.

    Raises:
        ConfigError: a recording has two or more channels without an embedding of their own.
    """
    for record, names, ids in channels:
        indistinguishable = [n for n, i in zip(names, ids, strict=True) if i == 0 or i >= num_names]
        if len(indistinguishable) > 1:
            raise ConfigError(
                f"recording {record!r}: the model distinguishes channels by name, and does "
                f"not know {_abbreviate(indistinguishable)}. Choose channels that it knows with "
                "--config.data.channels=..., or rename these in the manifest "
                '("channels": {"name in the file": "EEG C3"}). To treat all channels alike, '
                "train a new model with --config.model.channel_embedding=False."
            )


def _abbreviate(texts: Sequence[str]) -> str:
    more = len(texts) - _SHOWN
    return ", ".join(texts[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _more(found: Sequence[str]) -> str:
    return f" and {len(found) - 1} more" if len(found) > 1 else ""

"""Selecting the channel columns of a table; the same rules for CSV and parquet.

* Columns that a manifest lists under ``channels`` are channels.
* A column whose name is in the channel vocabulary is a channel, whatever its content.
* Time columns and sample counters are not channels. They give the rate or are skipped with a
  warning.
* Labels, subjects, codes, ramps, text, and columns with few distinct values under an unknown name
  are ambiguous: the file does not describe itself and needs a manifest.
"""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from physio_mae_jax.data.formats.column_content import ColumnContent
from physio_mae_jax.data.formats.column_names import Column
from physio_mae_jax.data.formats.file_facts import FileFacts, select_file_channels
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.data.formats.origin import Origin
from physio_mae_jax.data.formats.time_column import Context, TableRate, Times, infer_table_rate
from physio_mae_jax.signals.channels import canonical_name

_LOG = logging.getLogger(__name__)
_SHOWN = 6
TEXT = "holds text"


@dataclasses.dataclass(frozen=True)
class TablePlan:
    """The columns to read to describe a table.

    Attributes:
        channels: Columns that are, or may be, channels.
        times: Columns of time.
        inspected: Columns whose samples are inspected: those that are channels only if their
            content resembles a signal, and sample counters, which reveal lost samples.
        listed: Whether all of ``channels`` are known to be channels.
    """

    columns: tuple[Column, ...]
    channels: tuple[Column, ...]
    times: tuple[Column, ...]
    inspected: tuple[Column, ...]
    listed: bool

    @property
    def numbers(self) -> tuple[Column, ...]:
        """Channels that must be numeric."""
        return tuple(c for c in self.channels if self.listed or c.kind == "channel")


def plan_table(
    columns: Sequence[Column], entry: ManifestEntry, path: Path, *, signals_only: bool = False
) -> TablePlan:
    """Classify the columns of a table by their names.

    Args:
        columns: All columns of the table.
        entry: Manifest entry, which may list channels.
        path: Path of the table, for messages.
        signals_only: Whether the format is a published one with only signals and times.

    Raises:
        DataError: a channel that the manifest lists is missing.
    """
    times = tuple(c for c in columns if c.kind == "time")
    counters = tuple(c for c in columns if c.kind == "index")
    if entry.channels is None:
        channels = tuple(c for c in columns if c.kind not in ("time", "index", "unnamed"))
        if signals_only:
            return TablePlan(tuple(columns), channels, times, counters, listed=True)
        inspected = tuple(c for c in columns if c.kind in ("likely", "unknown", "unnamed", "index"))
        return TablePlan(tuple(columns), channels, times, inspected, listed=False)
    sources = [source for source, _ in entry.channels]
    requested_names = {canonical_name(source) for source in sources}
    # Any column may be listed; if one is missing, the message lists the channels.
    offered = [
        c
        for c in columns
        if c.kind not in ("time", "index", "unnamed")
        or (c.name and canonical_name(c.get_listed_name(sources)) in requested_names)
    ]
    _, picked = select_file_channels(
        entry, [c.get_listed_name(sources) for c in offered], str(path)
    )
    channels = tuple(offered[i] for i in picked)
    times = tuple(c for c in times if c not in channels)
    counters = tuple(c for c in counters if c not in channels)
    return TablePlan(tuple(columns), channels, times, counters, listed=True)


def describe_table(
    plan: TablePlan,
    entry: ManifestEntry,
    num_samples: int,
    contents: Mapping[int, ColumnContent | str],
    times: Sequence[Times],
    context: Context,
) -> FileFacts:
    """Describe a table from the columns read.

    Args:
        plan: Result of ``plan_table``.
        entry: Manifest entry.
        num_samples: Number of rows of the table.
        contents: Mapping of column index to its inspected content, ``TEXT`` where it is not
            numeric.
        times: Columns of time.
        context: Context for messages; its channels are replaced.

    Raises:
        UnreadableError: the times are not uniform.
        DataError: the rate is not plausible, or contradicts the manifest.
    """
    _warn_about_gaps(plan, contents, context.where)
    channels = list(plan.channels)
    excluded: list[str] = []
    doubts: list[str] = []
    if not plan.listed:
        channels, excluded, doubts = _classify(plan, contents)
    sources = [source for source, _ in entry.channels or ()]
    used_names = [use for _, use in entry.channels or ()] or [column.name for column in channels]
    rate = infer_table_rate(times, dataclasses.replace(context, channels=used_names))
    if not plan.listed:
        excluded += [column.name for column in plan.times if column.name != rate.column]
    units = tuple(column.unit or entry.units or "" for column in channels)
    return FileFacts(
        shape=(num_samples, len(channels)),
        axes=("sample", "channel"),
        channels=tuple(column.get_listed_name(sources) for column in channels),
        sampling_rate_hz=rate.rate_hz,
        units=units if any(column.unit for column in channels) else None,
        stored_columns=tuple(column.index for column in channels),
        loaded_bytes=4 * num_samples * len(channels),
        notes=_notes(excluded),
        questions=_questions(doubts, rate),
        origin=Origin(rate=f"column {rate.column!r}" if rate.column else ""),
    )


def _warn_about_gaps(
    plan: TablePlan, contents: Mapping[int, ColumnContent | str], where: str
) -> None:
    for column in plan.inspected:
        content = contents.get(column.index)
        if column.kind == "index" and isinstance(content, ColumnContent) and content.count_gaps():
            _LOG.warning(
                "%s: column %r skips numbers at %d positions, where samples may be lost; samples "
                "before and after are read as if they were adjacent.",
                where,
                column.name,
                content.count_gaps(),
            )


def _classify(
    plan: TablePlan, contents: Mapping[int, ColumnContent | str]
) -> tuple[list[Column], list[str], list[str]]:
    """Return the plausible channels, the excluded names, and the doubts as text."""
    channels, doubts = [], []
    excluded = [c.name for c in plan.columns if c.kind == "index"]
    for column in plan.columns:
        content = contents.get(column.index)
        if column.kind in ("time", "index"):
            continue
        if column.kind == "channel":
            channels.append(column)
        elif column.kind == "label":
            doubts.append(f"{column.name!r} is a label or an id by its name")
        elif isinstance(content, str) and not column.name:
            excluded.append(_column_label(column))
        elif isinstance(content, str):
            doubts.append(f"{_column_label(column)} {content}")
        elif content is not None and content.is_empty:
            excluded += [column.name] if column.name else []
        elif content is not None:
            doubt = content.describe_ramp() or (
                "" if column.kind == "likely" else content.describe_few_values()
            )
            if column.kind == "unnamed":
                # pandas writes its index as an unnamed column.
                excluded += [] if doubt else [_column_label(column)]
            elif doubt:
                doubts.append(f"{column.name!r} {doubt}")
            else:
                channels.append(column)
    if not channels and not doubts:
        names = [c.name for c in plan.columns if c.name]
        doubts.append(f"none of {', '.join(map(repr, names[:_SHOWN]))} is a known signal name")
    return channels, excluded, doubts


def _column_label(column: Column) -> str:
    return repr(column.name) if column.name else f"column {column.index + 1} without a name"


def _notes(excluded: Sequence[str]) -> tuple[str, ...]:
    if not excluded:
        return ()
    more = f" and {len(excluded) - _SHOWN} more" if len(excluded) > _SHOWN else ""
    names = ", ".join(map(repr, excluded[:_SHOWN]))
    return (
        f"the columns {names}{more} are times, sample counters or empty, and are not used as "
        "channels; if one is a signal, list it in the manifest's 'channels'",
    )


def _questions(doubts: Sequence[str], rate: TableRate) -> dict[str, str]:
    questions = {}
    if doubts:
        more = f" and {len(doubts) - _SHOWN} more" if len(doubts) > _SHOWN else ""
        questions["channels"] = "; ".join(doubts[:_SHOWN]) + more
    if rate.question:
        questions["sampling_rate_hz"] = rate.question
    return questions

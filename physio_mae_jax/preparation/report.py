"""Report of a preparation: recordings kept and skipped, with reasons, and quality findings."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Sequence

from physio_mae_jax.data.listing import list_problems
from physio_mae_jax.data.prepared_index import PreparedRecord
from physio_mae_jax.preparation.shards import RejectedRecording
from physio_mae_jax.printable import Lines, printable
from physio_mae_jax.signals import quality
from physio_mae_jax.types import JsonObject


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparationReport:
    """The outcome of a preparation.

    Attributes:
        records: Recordings kept.
        rejections: Recordings skipped.
        seconds: Time spent writing in this run, in seconds.
        source_bytes: Size of the files of all recordings.
        example_bytes: Size of the examples before compression.
    """

    records: Sequence[PreparedRecord]
    rejections: Sequence[RejectedRecording]
    seconds: float
    source_bytes: int
    example_bytes: int

    @property
    def num_subjects(self) -> int:
        """Number of subjects of the kept recordings."""
        return len({record.subject_id for record in self.records})

    def finding_counts(self) -> dict[str, dict[str, int]]:
        """Count kept recordings, channels and seconds for each kind of finding."""
        counts: dict[str, dict[str, int]] = {}
        for kind in quality.KINDS:
            found = [(r, f) for r in self.records for f in r.findings if f["kind"] == kind]
            if found:
                counts[kind] = {
                    "recordings": len({record.record_id for record, _ in found}),
                    "channels": len(found),
                    "seconds": round(sum(f["num_samples"] / r.sampling_rate_hz for r, f in found)),
                }
        return counts

    def count_unlabeled(self) -> dict[str, int]:
        """Count the kept recordings without a label, for each task with any labels."""
        tasks = dict.fromkeys(task for record in self.records for task in record.labels)
        counts = {task: sum(task not in r.labels for r in self.records) for task in tasks}
        return {task: count for task, count in counts.items() if count}

    def to_json(self) -> JsonObject:
        """Return the report without the details of each recording in ``recordings.jsonl``."""
        return {
            "kept": len(self.records),
            "subjects": self.num_subjects,
            "hours": sum(r.num_samples / r.sampling_rate_hz for r in self.records) / 3600,
            "excluded": [dataclasses.asdict(rejection) for rejection in self.rejections],
            "findings": self.finding_counts(),
            "unlabeled": self.count_unlabeled(),
            "conversions": dict(Counter(c for r in self.records for c in r.conversions)),
        }

    def table(self) -> str:
        """Format the report as Markdown that is also readable in a terminal."""
        hours = sum(r.num_samples / r.sampling_rate_hz for r in self.records) / 3600
        total = len(self.records) + len(self.rejections)
        lines = [
            f"{len(self.records)} of {total} recordings kept: {self.num_subjects} subjects, "
            f"{hours:.2f} hours.",
            *(
                f"{count} of {len(self.records)} recordings have no label of task {task!r}; they "
                "are excluded from its training and evaluation."
                for task, count in self.count_unlabeled().items()
            ),
            "",
            *_table(("skipped because", "recordings", "such as"), self._rejection_rows()),
            *_table(("found in what was kept", "recordings", "channels", "seconds", "such as"),
                    self._finding_rows()),
            *_table(("converted", "recordings"), self._conversion_rows()),
        ]  # fmt: skip
        return "\n".join(lines).rstrip() + "\n"

    def _rejection_rows(self) -> list[tuple[str, ...]]:
        by_reason: dict[str, list[RejectedRecording]] = defaultdict(list)
        for rejection in self.rejections:
            by_reason[rejection.reason].append(rejection)
        return [
            (reason, str(len(rejections)), f"{rejections[0].record_id}: {rejections[0].detail}")
            for reason, rejections in by_reason.items()
        ]

    def _finding_rows(self) -> list[tuple[str, ...]]:
        rows = []
        for kind, counts in self.finding_counts().items():
            record, found = next(
                (r, f) for r in self.records for f in r.findings if f["kind"] == kind
            )
            where = f"{record.record_id} {found['channel']}"
            if found["runs"]:
                where += f" from {found['runs'][0][0] / record.sampling_rate_hz:.1f} s"
            if found["detail"]:
                where += f" ({found['detail']})"
            rows.append((kind, *(str(value) for value in counts.values()), where))
        return rows

    def _conversion_rows(self) -> list[tuple[str, ...]]:
        counts = Counter(c for r in self.records for c in r.conversions)
        return [(what, str(count)) for what, count in counts.most_common()]


def format_rejections(rejections: Sequence[RejectedRecording]) -> Lines:
    """Format skipped recordings, one per line; beyond a limit only their names."""
    return list_problems((r.record_id, f"{printable(r.record_id)}: {r.detail}") for r in rejections)


def _table(header: tuple[str, ...], rows: Sequence[Sequence[str]]) -> list[str]:
    """Format a Markdown table with aligned columns; empty if there are no rows."""
    if not rows:
        return []
    table = [header, *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]

    def format_row(row: Sequence[str]) -> str:
        return "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"

    rule = "| " + " | ".join("-" * width for width in widths) + " |"
    return [format_row(table[0]), rule, *(format_row(row) for row in table[1:]), ""]


def _cell(value: str) -> str:
    text = printable(" ".join(value.replace("|", "/").split()), None)
    return text if len(text) <= 100 else text[:97] + "..."


def describe_rate(num_records: int, source_bytes: int, seconds: float, num_workers: int) -> str:
    """Format the throughput of a run."""
    if seconds <= 0 or not num_records:
        return "all shards were already prepared"
    rate = num_records / seconds
    megabytes = source_bytes / 1e6 / seconds
    return (
        f"{num_records} recordings in {seconds:.1f} s: {rate:.1f} recordings/s and "
        f"{megabytes:.1f} MB/s of source, or {rate / num_workers:.1f} and "
        f"{megabytes / num_workers:.1f} for each of {num_workers} workers"
    )

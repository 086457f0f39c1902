"""Scaling table from the lines of ``physio_mae_jax.benchmark`` for several device counts.

python -m physio_mae_jax.benchmarks.scaling LINES.jsonl
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from physio_mae_jax.types import JsonMapping

_HEADER = ("case", "devices", "batch", "samples/s", "efficiency", "GiB a device", "exchanges")


def scaling_table(lines: Sequence[JsonMapping]) -> str:
    """Format training-step lines as a Markdown table.

    Efficiency is samples/s per device relative to the smallest device count of the same case.

    Args:
        lines: Benchmark lines of the case 'train'.
    """
    first: dict[str, JsonMapping] = {}
    rows = []
    for line in sorted(lines, key=lambda line: (line["label"], line["num_devices"])):
        base = first.setdefault(line["label"], line)
        efficiency = (line["samples_per_s"] / line["num_devices"]) / (
            base["samples_per_s"] / base["num_devices"]
        )
        exchanges = ", ".join(f"{count} {name}" for name, count in line["collectives"].items())
        rows.append(
            (
                line["label"],
                str(line["num_devices"]),
                str(line["batch_size"]),
                f"{line['samples_per_s']:.4g}",
                f"{efficiency:.1%}",
                f"{line['planned_gib']['peak']:.2f}",
                exchanges or "none",
            )
        )
    cells = [_HEADER, ("---",) * len(_HEADER), *rows]
    devices = ", ".join(sorted({line["device"] for line in lines}))
    return "\n".join(f"| {' | '.join(row)} |" for row in cells) + f"\n\non {devices}"


if __name__ == "__main__":
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    print(scaling_table([json.loads(line) for line in text.splitlines()]))

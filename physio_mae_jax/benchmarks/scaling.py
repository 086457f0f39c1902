"""Scaling over devices: the collectives of a compiled program, and a table of device counts.

The table is made from the lines of ``physio_mae_jax.benchmark``:

python -m physio_mae_jax.benchmarks.scaling LINES.jsonl
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from physio_mae_jax.types import JsonMapping

_NAMES = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute"
# An instruction such as '%x = (f32[4,8], f32[]) all-reduce(' or its asynchronous start.
_INSTRUCTION = re.compile(rf"= (\S.*?) ({_NAMES})(?:-start)?\(")
_ARRAY = re.compile(r"(pred|[a-z]+?)(\d*)\[([\d,]*)\]")
_HEADER = ("case", "devices", "batch", "samples/s", "efficiency", "GiB a device", "exchanges")


def count_collectives(program: str) -> dict[str, int]:
    """Count collectives in the text of a compiled program, by kind."""
    return dict(Counter(match[2] for match in _INSTRUCTION.finditer(program)))


def exchanged_bytes(program: str) -> dict[str, int]:
    """Sum the bytes exchanged by collectives, by kind."""
    sizes: Counter[str] = Counter()
    for match in _INSTRUCTION.finditer(program):
        sizes[match[2]] += sum(_bytes(*array) for array in _ARRAY.findall(match[1]))
    return dict(sizes)


def _bytes(kind: str, bits: str, shape: str) -> int:
    size = 1
    for length in filter(None, shape.split(",")):
        size *= int(length)
    return size * (1 if kind == "pred" else max(1, int(bits or 8) // 8))


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

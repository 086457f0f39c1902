"""Command line: ``python -m physio_mae_jax.prepare NAME --source=DIR --out=DIR``."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from physio_mae_jax.errors import UserError
from physio_mae_jax.preparation.builder import builder_of
from physio_mae_jax.preparation.catalogue import LAYOUTS, layout_of
from physio_mae_jax.preparation.executors import by_beam, in_processes
from physio_mae_jax.preparation.report import describe_rate
from physio_mae_jax.preparation.shards import ShardSummary


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare a data set; return the exit status."""
    options = _parse(arguments)
    logging.basicConfig(format="%(message)s")
    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        _prepare(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "\nstopped; what is prepared is kept. Run the same command again to go on.",
            file=sys.stderr,
        )
        return 130
    return 0


def _prepare(options: argparse.Namespace) -> None:
    executor = (
        by_beam(options.beam_runner, options.beam_option)
        if options.beam_runner
        else in_processes(options.workers)
    )
    with tqdm(unit=" recordings", disable=not sys.stderr.isatty()) as bar:

        def show(summary: ShardSummary) -> None:
            bar.update(len(summary.records) + len(summary.refusals))

        builder = builder_of(layout_of(options.name))(
            source=options.source,
            data_dir=options.out.expanduser().absolute(),
            executor=executor,
            on_invalid=options.on_invalid,
            progress=show,
        )
        report = builder.prepare(overwrite=options.overwrite)
    print(report.table())
    rate = describe_rate(len(report.records), report.source_bytes, report.seconds, options.workers)
    print(f"{rate}.\nwritten: {builder.data_dir}")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m physio_mae_jax.prepare",
        description="Turn a raw data set into array_record files that training reads by name.",
        epilog="An interrupted run is taken up by the same command.",
    )
    names = [f"{name}/{v}" if v else name for name, variants in LAYOUTS.items() for v in variants]
    parser.add_argument("name", metavar="NAME", help=f"one of {', '.join(names)}")
    parser.add_argument("--source", type=Path, required=True, help="folder of the raw data set")
    parser.add_argument("--out", type=Path, required=True, help="folder of all prepared data sets")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes (all cores)"
    )
    parser.add_argument(
        "--on_invalid",
        choices=("error", "skip"),
        default="error",
        help="stop at recordings that are of no use, or leave them out and list them",
    )
    parser.add_argument("--overwrite", action="store_true", help="prepare again what is there")
    parser.add_argument(
        "--beam_runner", default="", help="write by Apache Beam, such as FlinkRunner"
    )
    parser.add_argument(
        "--beam_option", action="append", default=[], help="a flag of the runner; may be repeated"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())

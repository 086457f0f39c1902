"""Command line: ``python -m physio_mae_jax.prepare NAME --source=DIR --out=DIR``."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from tqdm import tqdm

from physio_mae_jax.data.sets import SYNTHETIC
from physio_mae_jax.errors import ConfigError, UserError
from physio_mae_jax.local_paths import local_folder, local_path
from physio_mae_jax.preparation.builder import make_builder
from physio_mae_jax.preparation.data_set_list import describe_data_sets
from physio_mae_jax.preparation.download import download
from physio_mae_jax.preparation.executors import beam_executor, process_executor
from physio_mae_jax.preparation.layouts.folder import open_own_folder
from physio_mae_jax.preparation.layouts.folder_draft import write_draft
from physio_mae_jax.preparation.recording import DatasetLayout
from physio_mae_jax.preparation.registry import LAYOUTS, get_layout
from physio_mae_jax.preparation.report import describe_rate
from physio_mae_jax.preparation.shards import ShardSummary
from physio_mae_jax.printable import PrintableFormatter, printable, printable_lines

OWN_FILES = "folder"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare a data set; return the exit status."""
    options = _parse(arguments)
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("%(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        _prepare(options)
    except UserError as error:
        print(f"error: {printable_lines(error)}", file=sys.stderr)
        return 2
    except MemoryError:
        print(
            "error: not enough memory. Use fewer --workers and run the same command "
            "again: it resumes where it stopped.",
            file=sys.stderr,
        )
        return 2
    except OSError as error:
        print(f"error: {printable(error, None)}; fix that and run it again.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "\nstopped; finished shards are kept. Run the same command again to resume.",
            file=sys.stderr,
        )
        return 130
    return 0


def _prepare(options: argparse.Namespace) -> None:
    _check(options)
    if options.download:
        _download(options)
    if options.draft_manifest:
        print(write_draft(options.source, options.manifest))
        return
    executor = (
        beam_executor(options.beam_runner, options.beam_option)
        if options.beam_runner
        else process_executor(options.workers)
    )
    with tqdm(unit=" recordings", disable=not sys.stderr.isatty()) as bar:

        def show(summary: ShardSummary) -> None:
            bar.update(len(summary.records) + len(summary.rejections))

        builder = make_builder(_layout(options))(
            source=options.source,
            data_dir=options.out,
            executor=executor,
            on_invalid=options.on_invalid,
            progress=show,
        )
        report = builder.prepare(overwrite=options.overwrite)
    print(report.table())
    rate = describe_rate(len(report.records), report.source_bytes, report.seconds, options.workers)
    print(f"{rate}.\nwritten: {builder.data_dir}")


def _check(options: argparse.Namespace) -> None:
    """Reject incompatible flags."""
    own = options.data_set == OWN_FILES
    for flag in ("name", "manifest", "draft_manifest"):
        if getattr(options, flag) and not own:
            raise ConfigError(
                f"--{flag} is only for your own files ('folder'); data set {options.data_set!r} "
                "does not use it."
            )
    if own and not options.name and not options.draft_manifest:
        raise ConfigError("'folder' needs a name for the data set, such as --name=my_ecgs.")
    if options.out is None and not options.draft_manifest:
        raise ConfigError("--out is missing; give the folder of all prepared data sets.")
    options.source = local_folder(options.source, "--source")
    if options.out is not None:
        options.out = local_folder(options.out, "--out")
    if options.manifest is not None:
        options.manifest = local_path(options.manifest, "--manifest")
    if options.download_header and not options.download:
        raise ConfigError("--download_header needs --download.")


def _layout(options: argparse.Namespace) -> DatasetLayout:
    if options.data_set == OWN_FILES:
        return open_own_folder(
            options.name,
            options.source,
            options.manifest,
            (*LAYOUTS, OWN_FILES, SYNTHETIC),
            skip=options.on_invalid == "skip",
        )
    return get_layout(options.data_set)


def _download(options: argparse.Namespace) -> None:
    needed = ("*",) if options.data_set == OWN_FILES else _layout(options).needed_files
    with tqdm(
        desc="downloading", unit="B", unit_scale=True, disable=not sys.stderr.isatty()
    ) as bar:
        summary = download(
            options.download,
            options.source,
            needed,
            headers=options.download_header,
            num_workers=options.download_workers,
            progress=bar.update,
        )
    print(summary)


class _List(argparse.Action):
    """Print the data sets and stop, whatever else is given."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print the list."""
        print(describe_data_sets())
        parser.exit()


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m physio_mae_jax.prepare",
        description="Turn a raw data set into array_record files that training reads by name.",
        epilog="Rerun the same command to resume an interrupted run.",
    )
    names = [f"{name}/{v}" if v else name for name, variants in LAYOUTS.items() for v in variants]
    parser.add_argument(
        "data_set",
        metavar="DATA_SET",
        help=f"one of {', '.join(names)}; or {OWN_FILES}, for your own files",
    )
    parser.add_argument(
        "--list", action=_List, nargs=0, help="print what each data set needs and has, and stop"
    )
    parser.add_argument("--source", required=True, help="folder of the raw data set")
    parser.add_argument("--out", help="folder of all prepared data sets")
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        help="worker processes (default: all cores)",
    )
    parser.add_argument(
        "--on_invalid",
        choices=("error", "skip"),
        default="error",
        help="raise on unusable recordings, or skip and list them",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing data set")
    parser.add_argument(
        "--beam_runner",
        default="",
        help="Apache Beam runner that writes the shards, such as FlinkRunner",
    )
    parser.add_argument(
        "--beam_option", action="append", default=[], help="flag of the runner; may be repeated"
    )
    _add_own_files(parser)
    _add_download(parser)
    return parser.parse_args(arguments)


def _add_own_files(parser: argparse.ArgumentParser) -> None:
    own = parser.add_argument_group(f"your own files ({OWN_FILES})")
    own.add_argument(
        "--name", default="", help="name of the data set: lower-case letters, digits and _"
    )
    own.add_argument(
        "--manifest", help="path of the manifest (default: manifest.json in the source)"
    )
    own.add_argument(
        "--draft_manifest",
        action="store_true",
        help="write a draft of the manifest to complete, and stop",
    )


def _add_download(parser: argparse.ArgumentParser) -> None:
    server = parser.add_argument_group("download")
    server.add_argument(
        "--download",
        default="",
        metavar="URL",
        help="download missing source files from the folder at a URL, such as "
        "https://physionet.org/files/ptb-xl/1.0.3/, which must have a SHA256SUMS.txt",
    )
    server.add_argument(
        "--download_header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="request header, such as 'Authorization: Basic ...'; may be repeated",
    )
    server.add_argument("--download_workers", type=int, default=4, help="parallel downloads (4)")


if __name__ == "__main__":
    sys.exit(main())

"""Command line: ``python -m physio_mae_jax.inspect PATH --out=report.html``."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from physio_mae_jax.atomic_files import disk_full_as_user_error, write_text
from physio_mae_jax.cli import report_error, set_up_logging
from physio_mae_jax.data.formats.folder import open_files, open_folder
from physio_mae_jax.data_report.facts import ReportConfig, collect_facts
from physio_mae_jax.data_report.page import render_page
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.local_paths import local_path
from physio_mae_jax.setting_ranges import check_settings

_LOG = logging.getLogger("physio_mae_jax")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the report; return the exit status."""
    options = _parse(arguments)
    set_up_logging()
    try:
        _write_report(options)
    except Exception as error:
        return report_error(error)
    return 0


def _write_report(options: argparse.Namespace) -> None:
    """Open the folder or file, collect facts with a progress line, and write the page."""
    config = ReportConfig(
        channels=options.channels,
        sampling_rate_hz=options.sampling_rate_hz,
        window_seconds=options.window_seconds,
        split_rule=options.split_rule,
        max_recordings=options.max_recordings,
    )
    check_settings(
        {"sampling_rate_hz": config.sampling_rate_hz, "window_seconds": config.window_seconds}
    )
    if config.max_recordings < 1:
        raise ConfigError(f"max_recordings must be >= 1; got {config.max_recordings}.")
    target, path = local_path(options.out, "--out"), local_path(options.path, "PATH")
    opened = (
        open_folder(path, options.manifest, skip_unreadable=True, channels=config.channels)
        if path.is_dir()
        else open_files([str(path)])
    )
    with tqdm(total=None, unit=" recordings", disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        facts = collect_facts(opened, config, show)
    with disk_full_as_user_error(target.parent):
        write_text(target, render_page(facts))
    _LOG.info("%d recordings; the report is %s", len(facts.infos), target)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m physio_mae_jax.inspect",
        description="Write a page about recordings: channels, rates, units, gaps, quality, heart "
        "rates, waveforms, what a model would receive, and the splits.",
        epilog="example: python -m physio_mae_jax.inspect /my/recordings --out=report.html",
    )
    parser.add_argument("path", metavar="PATH", help="folder of recordings, or one file")
    parser.add_argument("--out", default="report.html", help="HTML file to write (report.html)")
    parser.add_argument("--manifest", type=Path, help="manifest (default: PATH/manifest.json)")
    parser.add_argument("--channels", default="", help="channels of the model: names or a preset")
    parser.add_argument("--sampling_rate_hz", type=float, default=100.0, help="of the model (100)")
    parser.add_argument("--window_seconds", type=float, default=10.0, help="of the model (10)")
    parser.add_argument(
        "--split_rule", default="random=|0.1|0.1", help="division of subjects (random=|0.1|0.1)"
    )
    parser.add_argument("--max_recordings", type=int, default=24, help="shown in detail (24)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())

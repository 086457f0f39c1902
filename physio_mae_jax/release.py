"""Command line: ``python -m physio_mae_jax.release --run=DIR --name=NAME --license=…``."""

import argparse
import logging
import sys
from collections.abc import Sequence

from physio_mae_jax.cli import report_error, set_up_logging
from physio_mae_jax.local_paths import local_folder, local_path
from physio_mae_jax.model_release.hub import upload
from physio_mae_jax.model_release.packing import ReleaseConfig, pack_release

_LOG = logging.getLogger("physio_mae_jax")


def main(arguments: Sequence[str] | None = None) -> int:
    """Release the model of a run; return the exit status."""
    options = _parse(arguments)
    set_up_logging()
    try:
        _release(options)
    except Exception as error:
        return report_error(error)
    return 0


def _release(options: argparse.Namespace) -> None:
    released = pack_release(
        ReleaseConfig(
            workdir=local_path(options.run, "--run"),
            name=options.name,
            out=local_folder(options.out, "--out"),
            license=options.license,
            evaluations=tuple(local_path(path, "--evaluation") for path in options.evaluation),
            limits=options.limits,
            dtype=options.dtype,
        )
    )
    for path in sorted(released.folder.iterdir()):
        _LOG.info("%-24s %10d bytes", path.name, path.stat().st_size)
    _LOG.info(
        "checked: loads, encodes, cosine of at least %.6f to the embeddings of the run",
        released.cosine,
    )
    _LOG.info("written: %s and %s", released.folder, released.archive)
    if options.upload:
        _LOG.info("uploaded: %s", upload(released.folder, options.upload))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m physio_mae_jax.release",
        description="Turn a finished pre-training run into a model folder and an archive to share: "
        "weights, model card, settings, data, cost and learning curves, checked before they "
        "appear.",
        epilog="example: python -m physio_mae_jax.release --run=runs/physio-small "
        "--name=physio-small --license=CC-BY-4.0 --evaluation=runs/compared/comparison.md",
    )
    parser.add_argument("--run", required=True, help="work folder of the run")
    parser.add_argument("--name", required=True, help="name of the model, such as physio-small")
    parser.add_argument(
        "--license", required=True, help="of the weights, which those of the data must permit"
    )
    parser.add_argument("--out", default="releases", help="folder of all releases (releases)")
    parser.add_argument(
        "--evaluation",
        action="append",
        default=[],
        metavar="FILE",
        help="Markdown with results for the card, such as a comparison.md; may be repeated",
    )
    parser.add_argument("--limits", default="", help="limits of this model, for the card")
    parser.add_argument(
        "--dtype", default="float16", choices=("float16", "float32"), help="of the weights"
    )
    parser.add_argument(
        "--upload", default="", metavar="OWNER/NAME", help="also upload to the Hugging Face hub"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())

"""Command line: ``python -m physio_mae_jax.edge_demo --model=…``; a page that encodes."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from physio_mae_jax.data.source import SignalSource
from physio_mae_jax.errors import UserError
from physio_mae_jax.inference.edge.web import onnxruntime_web
from physio_mae_jax.inference.edge.web.page_files import page_files
from physio_mae_jax.inference.edge.web.server import address_of, serve
from physio_mae_jax.local_paths import local_path
from physio_mae_jax.printable import printable_lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the page until it is interrupted; return the exit status."""
    options = _parse(arguments)
    try:
        _run(options)
    except UserError as error:
        print(f"error: {printable_lines(str(error))}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print()
    return 0


def _run(options: argparse.Namespace) -> None:
    if options.download:
        print(f"onnxruntime-web is in {onnxruntime_web.download()}")
    if not options.model:
        return
    recording = _recording(options) if options.signal else None
    answers = page_files(options.model, recording, options.onnxruntime_web)
    with serve(answers, options.port) as server:
        print(
            f"{address_of(server)} shows {Path(options.model).name}; stop with Ctrl-C", flush=True
        )
        server.serve_forever()


def _recording(options: argparse.Namespace) -> SignalSource:
    """Open the recording that the page replays."""
    from physio_mae_jax.data.formats.folder import open_file  # loads the readers of all formats

    stated: dict[str, object] = {}
    if options.sampling_rate_hz is not None:
        stated["sampling_rate_hz"] = options.sampling_rate_hz
    if options.channels is not None:
        stated["channels"] = [name.strip() for name in options.channels.split(",")]
    if options.units is not None:
        stated["units"] = options.units
    return open_file(local_path(options.signal, "--signal"), stated)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m physio_mae_jax.edge_demo",
        description="Serve a page that encodes a signal in the browser, on this machine only.",
        epilog="example: python -m physio_mae_jax.edge_demo --model=encoder.onnx "
        "--signal=recording.csv --sampling_rate_hz=250",
    )
    parser.add_argument("--model", help="graph of Encoder.export_edge (.onnx)")
    parser.add_argument("--signal", help="recording of any format that the page replays")
    parser.add_argument("--sampling_rate_hz", type=float, help="of the recording")
    parser.add_argument("--channels", help="names of its channels, separated by commas")
    parser.add_argument("--units", help="unit of its channels, such as mV")
    parser.add_argument("--port", type=int, default=8000, help="port; 0 for any that is free")
    parser.add_argument(
        "--onnxruntime_web",
        help="folder with the files of onnxruntime-web (default: that of --download)",
    )
    parser.add_argument(
        "--download",
        action="store_true",
        help=f"get onnxruntime-web {onnxruntime_web.VERSION} by npm into "
        "~/.cache/physio_mae_jax, once",
    )
    options = parser.parse_args(arguments)
    if not (options.model or options.download):
        parser.error("give --model=encoder.onnx, or --download")
    return options


if __name__ == "__main__":
    sys.exit(main())

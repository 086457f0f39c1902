"""Command line: ``python -m physio_mae_jax.stream --model=… --input=…``; a JSON line per hop."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from physio_mae_jax.data.json_reader import parse_json, read_json_lines
from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.inference.edge.contract import is_graph
from physio_mae_jax.local_paths import local_path
from physio_mae_jax.printable import printable_lines, show
from physio_mae_jax.types import JsonObject, Untyped

if TYPE_CHECKING:
    from physio_mae_jax.inference.recurrent.stream import RecurrentStream
    from physio_mae_jax.inference.streaming.stream import Stream

_STDIN, _LSL = "stdin", "lsl"
_LINES = (".jsonl", ".ndjson")
_HINT = "give an array of a number for each channel, or of a list of numbers for each channel."
_PIECE_SECONDS = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Encode a signal while it is read; return the exit status."""
    options = _parse(arguments)
    try:
        _run(options)
    except UserError as error:
        print(f"error: {printable_lines(str(error))}", file=sys.stderr)
        return error.status
    except (BrokenPipeError, KeyboardInterrupt):  # the reader or the user has seen enough
        sys.stderr.close()
    return 0


def _run(options: argparse.Namespace) -> None:
    given = {
        name: getattr(options, name)
        for name in ("sampling_rate_hz", "channels", "units", "gain")
        if getattr(options, name) is not None
    }
    if options.input == _LSL:
        given, pieces = _device(options, given)
        stream = _open(options, given)
    elif options.input != _STDIN and Path(options.input).suffix not in _LINES:
        given, pieces = _recording(options.input, given)
        stream = _open(options, given)
    else:
        _check_described(given)
        stream = _open(options, given)
        pieces = (_samples(*line) for line in _lines(options.input))
    for samples in pieces:
        _write(stream.push(samples))
    _write(stream.flush())


def _open(options: argparse.Namespace, given: JsonObject) -> "Stream | RecurrentStream":
    """Open the stream of a graph, or of a model that JAX encodes."""
    settings = given | {"hop_seconds": options.hop_seconds}
    if options.output is not None:
        settings["output"] = options.output
    if is_graph(options.model) or Path(options.model).is_file():
        from physio_mae_jax.inference.edge.runtime import EdgeEncoder

        return EdgeEncoder.load(options.model).stream(**settings)
    from physio_mae_jax.inference.encoder import Encoder

    model = Encoder.from_pretrained(options.model, batch_size=1, num_devices=1)
    return model.stream(**settings)


def _check_described(given: JsonObject) -> None:
    """Reject lines without a rate or names of channels, which they do not state."""
    missing = [f"--{name}" for name in ("sampling_rate_hz", "channels") if name not in given]
    if missing:
        raise ConfigError(
            f"lines of numbers do not state their sampling rate and channels; {missing[0]} is "
            "missing. Give both, such as --sampling_rate_hz=250 --channels=II,PPG."
        )


def _lines(source: str) -> Iterable[tuple[str, object]]:
    """Yield (name in errors, content) of the lines of a file or of the standard input."""
    if source != _STDIN:
        yield from read_json_lines(local_path(source, "--input"), _HINT)
        return
    for number, line in enumerate(sys.stdin.buffer, start=1):
        if line.strip():
            where = f"line {number} of the input"
            yield where, parse_json(line, where, _HINT)


def _samples(where: str, content: object) -> np.ndarray:
    """Return the samples [M, n] of a line; null is a missing value."""
    rows = content if isinstance(content, list) else []
    if not any(isinstance(row, list) for row in rows):
        rows = [[value] for value in rows]
    try:
        samples = np.asarray(
            [[np.nan if value is None else value for value in row] for row in rows], np.float64
        )
    except (TypeError, ValueError):
        samples = np.zeros(0)
    if samples.ndim != 2 or any(isinstance(value, str | bool) for row in rows for value in row):
        raise DataError(f"{where} is {show(content)[:200]}; {_HINT}")
    return samples


def _recording(path: str, given: JsonObject) -> tuple[JsonObject, Iterator[np.ndarray]]:
    """Open a recording: its description, what is given of it first, and its samples in pieces."""
    from physio_mae_jax.data.formats.folder import open_file  # loads the readers of all formats

    stated = dict(given)
    stated.pop("gain", None)
    if "channels" in stated:
        stated["channels"] = [name.strip() for name in stated["channels"].split(",")]
    source = open_file(local_path(path, "--input"), stated)
    info = source.recordings[0]
    if len(source.recordings) > 1:
        raise DataError(
            f"{path} holds {len(source.recordings)} recordings; a stream is of one. Encode them "
            "with Encoder.encode_file, or give one of them as a file."
        )
    step = max(1, round(_PIECE_SECONDS * info.sampling_rate_hz))

    def pieces() -> Iterator[np.ndarray]:
        for start in range(0, info.num_samples, step):
            yield source.read(0, start, min(start + step, info.num_samples))

    found = {
        "sampling_rate_hz": info.sampling_rate_hz,
        "channels": list(info.channel_names),
        "units": list(info.units) if info.units else "",
    }
    return found, pieces()


def _device(
    options: argparse.Namespace, given: JsonObject
) -> tuple[JsonObject, Iterator[np.ndarray]]:
    """Open a stream of LSL: its description, checked against what is given, and its samples."""
    from physio_mae_jax.inference.streaming.lsl_input import LslInput

    device = LslInput(
        name=options.lsl_name,
        kind=options.lsl_type,
        given=given,
        gap_seconds=_positive(options, "lsl_gap_seconds"),
        timeout_seconds=_positive(options, "lsl_timeout_seconds"),
    )
    return device.description, device.pieces()


def _positive(options: argparse.Namespace, name: str) -> float:
    value = getattr(options, name)
    if not 0 < value < float("inf"):
        raise ConfigError(f"--{name} is {value:g}; give a number of seconds above 0.")
    return float(value)


def _write(rows: Iterable[Untyped]) -> None:
    """Print rows, each at once, so that a reader need not wait for the next."""
    for row in rows:
        print(json.dumps(row.to_json()), flush=True)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m physio_mae_jax.stream",
        description="Encode a signal while it is received, and print a JSON object per hop: "
        "start_seconds, end_seconds, rejected, masked and embedding.",
        epilog="example: python -m physio_mae_jax.stream --model=physio-tiny --input=stdin "
        "--sampling_rate_hz=250 --channels=II,PPG --hop_seconds=1",
    )
    parser.add_argument(
        "--model",
        required=True,
        help="graph of Encoder.export_edge (.onnx or .tflite, needs no JAX), name of a shipped "
        "model, or folder of a saved one",
    )
    parser.add_argument(
        "--input",
        required=True,
        help="'stdin' or a .jsonl file with a line [number, …] or [[number, …], …] of all "
        "channels, null for a missing value; 'lsl', a device in the network (lab streaming layer); "
        "or a recording of any format",
    )
    parser.add_argument("--sampling_rate_hz", type=float, help="of the lines, or of a recording")
    parser.add_argument("--channels", help="names of the channels, separated by commas")
    parser.add_argument("--units", help="unit of the channels, such as mV")
    parser.add_argument("--gain", type=float, help="ADC counts per unit, of lines of counts")
    parser.add_argument("--hop_seconds", type=float, help="distance of windows (half a window)")
    parser.add_argument("--lsl_name", help="name of the stream of --input=lsl")
    parser.add_argument("--lsl_type", help="type of the stream of --input=lsl, such as ECG")
    parser.add_argument(
        "--lsl_gap_seconds",
        type=float,
        default=0.1,
        help="later time stamps are a gap; more where they jitter, as of Bluetooth (0.1)",
    )
    parser.add_argument(
        "--lsl_timeout_seconds",
        type=float,
        default=10.0,
        help="time without a sample after which the stream is given up (10)",
    )
    parser.add_argument(
        "--output",
        choices=("pooled", "columns"),
        help="embedding of a window or of each column; a graph has one of them (pooled)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())

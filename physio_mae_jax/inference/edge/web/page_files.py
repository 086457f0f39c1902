"""What the server answers: the page, a model, a recording, and onnxruntime-web."""

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from physio_mae_jax.data.source import SignalSource
from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.edge.contract import contract_path
from physio_mae_jax.inference.edge.runtime import EdgeEncoder
from physio_mae_jax.inference.edge.web import onnxruntime_web
from physio_mae_jax.local_paths import local_path
from physio_mae_jax.signals.channels import VOCABULARY, canonical_name
from physio_mae_jax.signals.rates import MAX_RATE_HZ, min_plausible_rate_hz
from physio_mae_jax.types import JsonObject

# The types of the files; a browser rejects scripts and graphs of others.
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".f64": "application/octet-stream",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".onnx": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
_MAX_SIGNAL_BYTES = 1 << 28


class Answer(NamedTuple):
    """An answer of the server: its type and its content."""

    media_type: str
    content: bytes


def page_files(
    model: str, recording: SignalSource | None, onnxruntime_folder: str | None
) -> dict[str, Answer]:
    """Collect everything that the page loads, and check it.

    Args:
        model: Path of a graph with its contract beside it.
        recording: A recording that the page replays; None for none.
        onnxruntime_folder: Folder of onnxruntime-web; None for that of its download.

    Returns:
        Path of the address, such as '/app.js' -> answer.

    Raises:
        UserError: The model, the recording or onnxruntime-web is missing or does not fit.
    """
    graph = local_path(model, "--model")
    encoder = EdgeEncoder.load(graph)
    _check_runtime(encoder, graph.name)
    _check_band(encoder)
    runtime = onnxruntime_web.find(onnxruntime_folder)
    description, samples = None, b""
    if recording is not None:
        description, samples = _signal(recording)
    found = {
        "setup.json": _json({"model": graph.name, "signal": description}),
        "channels.json": _json(vocabulary()),
        "model/graph.onnx": graph.read_bytes(),
        "model/graph.onnx.json": contract_path(graph).read_bytes(),
        **{f"ort/{name}": path.read_bytes() for name, path in runtime.items()},
        **{name: path.read_bytes() for name, path in static_files().items()},
    }
    if description is not None:
        found["signal.f64"] = samples
    answers = {f"/{name}": _answer(name, content) for name, content in found.items()}
    return answers | {"/": answers["/index.html"]}


def static_files() -> Mapping[str, Path]:
    """Return the files of the page in this package: name -> path."""
    folder = Path(str(resources.files("physio_mae_jax.inference.edge.web"))) / "page"
    return {path.name: path for path in sorted(folder.iterdir()) if path.suffix in TYPES}


def _answer(name: str, content: bytes) -> Answer:
    return Answer(TYPES[PurePosixPath(name).suffix], content)


def _json(content: JsonObject) -> bytes:
    return json.dumps(content).encode()


def vocabulary() -> JsonObject:
    """Describe the names that models know; the position of a name is its id."""
    channels = [{"name": name, "min_rate_hz": min_plausible_rate_hz(name)} for name in VOCABULARY]
    return {"max_rate_hz": MAX_RATE_HZ, "channels": channels}


def _check_runtime(encoder: EdgeEncoder, name: str) -> None:
    runtime = encoder.contract.runtime
    if runtime != "onnx":
        raise DataError(
            f"{name} is a graph of {runtime!r}, which the page cannot compute; export the model "
            "to a path that ends in .onnx."
        )


def _check_band(encoder: EdgeEncoder) -> None:
    band = encoder.contract.input_spec.band_hz
    if band:
        raise DataError(
            f"the model band-passes its input from {band[0]:g} to {band[1]:g} Hz, which the page "
            "cannot; use python -m physio_mae_jax.stream, or a model trained without a band-pass."
        )


def _signal(source: SignalSource) -> tuple[JsonObject, bytes]:
    """Describe a recording, and return its samples [M, n] as float64 in little-endian order.

    Channels that the model does not know are kept: the page asks what they are.
    """
    if len(source.recordings) != 1:
        raise DataError(
            f"--signal holds {len(source.recordings)} recordings; the page replays one. Give one "
            "of them as a file."
        )
    (info,) = source.recordings
    size = 8 * info.num_samples * len(info.channel_names)
    if size > _MAX_SIGNAL_BYTES:
        raise DataError(
            f"--signal has {size / 2**20:.0f} MiB of samples; the page takes up to "
            f"{_MAX_SIGNAL_BYTES >> 20} MiB. Give a shorter recording, or fewer channels."
        )
    samples = source.read(0, 0, info.num_samples).astype("<f8")
    description = {
        "name": info.record_id,
        "sampling_rate_hz": info.sampling_rate_hz,
        "channels": [canonical_name(name) for name in info.channel_names],
        "units": list(info.units) if info.units else [""] * len(info.channel_names),
        "num_samples": info.num_samples,
    }
    return description, np.ascontiguousarray(samples).tobytes()

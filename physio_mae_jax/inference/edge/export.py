"""Export of an encoder as a graph that agrees with JAX."""

import platform
from pathlib import Path
from typing import get_args

from physio_mae_jax import atomic_files
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.inference import arguments
from physio_mae_jax.inference.compiled_encoder import mesh_for
from physio_mae_jax.inference.edge.calibration import CalibrationWindows, calibration_windows
from physio_mae_jax.inference.edge.contract import (
    Contract,
    EdgeCard,
    EdgeOutput,
    EdgePrecision,
    Quantization,
    contract_path,
    hash_of,
)
from physio_mae_jax.inference.edge.encoder_graph import check_supported, encoder_graph
from physio_mae_jax.inference.edge.extra import optional
from physio_mae_jax.inference.edge.graph import OPSET
from physio_mae_jax.inference.edge.parity import (
    agreement_of,
    probe_windows,
    reference_outputs,
    require_float32,
    require_int8,
)
from physio_mae_jax.inference.edge.quantization import quantize
from physio_mae_jax.inference.edge.session import EdgeSession, measure_latency
from physio_mae_jax.inference.precision import float32_encoder
from physio_mae_jax.inference.recording_plan import ModelInput
from physio_mae_jax.inference.trained_model import TrainedModel, fingerprint_of
from physio_mae_jax.local_paths import local_path
from physio_mae_jax.setting_kinds import Number

_NUM_CHANNELS = Number(low=1, high=64, whole=True, example=3)


def export_edge(
    trained: TrainedModel,
    model: ModelInput,
    path: str | Path,
    *,
    precision: EdgePrecision = "float32",
    output: EdgeOutput = "embedding",
    num_channels: int | None = None,
    calibration: object = None,
    **description: object,
) -> Path:
    """Write the encoder as an ONNX graph for one window, and its contract.

    The graph is compared with JAX before anything is written: in float32 on synthetic windows, in
    int8 on windows of recordings that it was not calibrated with.

    Args:
        trained: Trained model.
        model: Windows of the model.
        path: Path of the graph; ``path + '.json'`` is its contract.
        precision: 'float32', or 'int8' for the linear layers of the blocks.
        output: 'embedding' [D], or 'columns' [W, D] for each time column.
        num_channels: Number of channels M of its windows; None for that of the recordings for
            calibration, or of training.
        calibration: Recordings for int8, as for ``Encoder.encode``.
        **description: Their sampling_rate_hz, channels, units and gain.

    Returns:
        The path.

    Raises:
        UserError: An argument is invalid, the model has a part without a graph, a library is not
            installed, or the graph does not agree with JAX.
    """
    _choose(precision, "precision", get_args(EdgePrecision))
    _choose(output, "output", get_args(EdgeOutput))
    target = local_path(path, "path")
    if num_channels is not None:
        num_channels = int(arguments.setting(num_channels, "num_channels", _NUM_CHANNELS))
    check_supported(trained)
    for name in ("onnx", "onnxruntime"):
        optional(name)
    windows = None
    if precision == "int8":
        windows = calibration_windows(calibration, description, model, num_channels)
        num_channels = windows.num_channels
    elif calibration is not None or description:
        raise ConfigError("recordings for calibration are given; they need precision='int8'.")
    channels = num_channels or trained.model_spec.input.num_channels
    graph, card = _compared(trained, channels, output, windows)
    _write(target, graph, _contract(trained, graph, channels, precision, output, card))
    return target


def _compared(
    trained: TrainedModel, channels: int, output: EdgeOutput, windows: CalibrationWindows | None
) -> tuple[bytes, EdgeCard]:
    """Return a graph that agrees with JAX, and its card; quantized if there are windows."""
    encoder, probes = float32_encoder(trained, mesh_for(1, 1)), probe_windows(trained, channels)
    plain = encoder_graph(trained, channels, output)
    session = EdgeSession(plain, "the graph")
    agreement = agreement_of(session.run(probes), reference_outputs(encoder, probes, output))
    require_float32(agreement)
    one = {name: values[:1] for name, values in probes.items()}
    programs = {
        "jax": lambda: reference_outputs(encoder, one, output),
        "float32": lambda: session.run(one),
    }
    graph, quantization = plain, None
    if windows:
        graph = quantize(plain, windows.calibration)
        small = EdgeSession(graph, "the quantized graph")
        wanted = reference_outputs(encoder, windows.held_back, output)
        found = agreement_of(small.run(windows.held_back), wanted)
        require_int8(found)
        programs["int8"] = lambda: small.run(one)
        quantization = Quantization(
            num_windows=len(windows.calibration["signal"]), sha256=windows.sha256, agreement=found
        )
    card = EdgeCard(
        num_bytes=len(graph),
        float32_bytes=len(plain),
        float32_agreement=agreement,
        quantization=quantization,
        latency=measure_latency(programs),
        machine=platform.machine(),
        versions={name: optional(name).__version__ for name in ("onnx", "onnxruntime", "jax")},
    )
    return graph, card


def _choose(value: object, name: str, choices: tuple[str, ...]) -> None:
    """Reject a value that is none of the choices, with a ConfigError."""
    if value not in choices:
        raise ConfigError(f"{name} is {value!r}; choose from {', '.join(choices)}.")


def _contract(
    trained: TrainedModel,
    graph: bytes,
    channels: int,
    precision: EdgePrecision,
    output: EdgeOutput,
    card: EdgeCard,
) -> Contract:
    config = trained.model_spec.model
    return Contract(
        precision=precision,
        output=output,
        num_channels=channels,
        width=config.width,
        num_columns=config.num_columns,
        column_samples=config.patch_samples,
        opset=OPSET,
        input_spec=trained.model_spec.input,
        model=fingerprint_of(trained),
        graph_sha256=hash_of(graph),
        card=card,
    )


def _write(target: Path, graph: bytes, contract: Contract) -> None:
    """Write a graph and its contract, each atomically; a reader compares their hashes."""
    atomic_files.prepare_workdir(target.parent, "path")
    with atomic_files.disk_full_as_user_error(target.parent):
        with atomic_files.atomic_write(target) as partial:
            partial.write_bytes(graph)
        atomic_files.write_json(contract_path(target), contract.to_json())

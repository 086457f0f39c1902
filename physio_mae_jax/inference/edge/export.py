"""Export of an encoder or a classifier as a graph that agrees with JAX."""

import dataclasses
import platform
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import get_args

import numpy as np

from physio_mae_jax import atomic_files
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.inference import arguments
from physio_mae_jax.inference.edge.calibration import (
    CalibrationSource,
    CalibrationWindows,
    calibration_windows,
)
from physio_mae_jax.inference.edge.contract import (
    Agreement,
    Contract,
    EdgeCard,
    EdgeOutput,
    EdgePrecision,
    EdgeRuntime,
    Quantization,
    contract_path,
    hash_of,
    runtime_of,
)
from physio_mae_jax.inference.edge.edge_model import EdgeModel
from physio_mae_jax.inference.edge.encoder_graph import check_supported, onnx_graph
from physio_mae_jax.inference.edge.extra import LITERT, optional
from physio_mae_jax.inference.edge.graph import OPSET, require_opset
from physio_mae_jax.inference.edge.labels import LinearProbe
from physio_mae_jax.inference.edge.litert import litert_graph
from physio_mae_jax.inference.edge.parity import (
    add_auroc,
    agreement_of,
    probe_windows,
    require_float32,
    require_int8,
    require_small,
)
from physio_mae_jax.inference.edge.quantization import quantize
from physio_mae_jax.inference.edge.session import measure_latency, open_session
from physio_mae_jax.inference.recording_plan import ModelInput
from physio_mae_jax.local_paths import local_path
from physio_mae_jax.setting_kinds import Number

_NUM_CHANNELS = Number(low=1, high=64, whole=True, example=3)
_LIBRARIES = {"onnx": ("onnx", "onnxruntime"), "litert": ("litert_converter", "ai_edge_litert")}
_Outputs = Callable[[Mapping[str, np.ndarray]], np.ndarray]


def export_edge(
    model: EdgeModel,
    inputs: ModelInput,
    path: str | Path,
    *,
    precision: EdgePrecision = "float32",
    output: EdgeOutput | None = None,
    num_channels: int | None = None,
    calibration: object = None,
    calibration_labels: object = None,
    **description: object,
) -> Path:
    """Write a model as a graph for one window, of ONNX or LiteRT, and its contract.

    The graph is compared with JAX before anything is written: in float32 on synthetic windows, in
    int8 on windows of recordings that it was not calibrated with.

    Args:
        model: Model to export.
        inputs: Windows of the model.
        path: Path of the graph, '….onnx' or '….tflite'; ``path + '.json'`` is its contract.
        precision: 'float32', or 'int8' for the linear layers of the blocks, in ONNX only.
        output: 'embedding' [D], or 'columns' [W, D] for each time column; 'logits' [Y] of a
            classifier. None for the first that the model has.
        num_channels: Number of channels M of its windows; None for that of the recordings for
            calibration, or of training.
        calibration: Recordings for int8, as for ``Encoder.encode``.
        calibration_labels: Class of each of these recordings; the AUROC of a linear probe, or of a
            classifier, must not fall by more than 0.002. None to compare outputs alone.
        **description: Their sampling_rate_hz, channels, units and gain.

    Returns:
        The path.

    Raises:
        UserError: An argument is invalid, the model has a part without a graph, a library is not
            installed, or the graph does not agree with JAX.
    """
    chosen = model.outputs[0] if output is None else output
    target = local_path(path, "path")
    runtime = _checked(model, precision, chosen, target)
    if num_channels is not None:
        num_channels = int(arguments.setting(num_channels, "num_channels", _NUM_CHANNELS))
    windows = None
    if precision == "int8":
        given = CalibrationSource.of(
            calibration, calibration_labels, description, inputs, model.decision
        )
        windows = calibration_windows(given, inputs, num_channels)
        num_channels = windows.num_channels
    elif calibration is not None or calibration_labels is not None or description:
        raise ConfigError("recordings for calibration are given; they need precision='int8'.")
    channels = num_channels or model.input_spec.num_channels
    graph, card = _compared(model, channels, chosen, runtime, windows)
    contract = _contract(model, graph, channels, precision, chosen, card)
    if runtime == "litert":
        contract = dataclasses.replace(contract, runtime=runtime, opset=0)
    _write(target, graph, contract)
    return target


def _checked(model: EdgeModel, precision: str, output: str, path: Path) -> EdgeRuntime:
    """Reject what cannot be exported before any work, with a UserError; return the runtime."""
    if precision not in get_args(EdgePrecision):
        choices = ", ".join(get_args(EdgePrecision))
        raise ConfigError(f"precision is {precision!r}; choose from {choices}.")
    model.check_output(output)
    runtime = runtime_of(path)
    if runtime == "litert" and precision != "float32":
        raise ConfigError(
            f"precision is {precision!r}, which LiteRT graphs do not have; give a path that ends "
            "in .onnx, or precision='float32'."
        )
    check_supported(model)
    if runtime == "litert":
        for name in _LIBRARIES[runtime]:
            optional(name, LITERT)
    else:
        require_opset()
        optional("onnxruntime")
    return runtime


def _compared(
    model: EdgeModel,
    channels: int,
    output: EdgeOutput,
    runtime: EdgeRuntime,
    windows: CalibrationWindows | None,
) -> tuple[bytes, EdgeCard]:
    """Return a graph that agrees with JAX, and its card; quantized if there are windows."""
    reference = model.reference(output)
    probes = probe_windows(model.input_spec, model.config.num_columns, channels)
    made = litert_graph if runtime == "litert" else onnx_graph
    plain = made(model, channels, output)
    session = open_session(plain, runtime, "the graph")
    agreement = agreement_of(session.run(probes), reference(probes), model.decision)
    require_float32(agreement)
    one = {name: values[:1] for name, values in probes.items()}
    programs = {"jax": lambda: reference(one), "float32": lambda: session.run(one)}
    graph, quantization = plain, None
    if windows:
        graph = quantize(plain, windows.calibration)
        small = open_session(graph, runtime, "the quantized graph")
        found = _compared_int8(model, small.run, reference, windows)
        require_int8(found)
        require_small(len(graph), len(plain))
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
        versions={name: metadata.version(name) for name in (*_LIBRARIES[runtime], "jax")},
    )
    return graph, card


def _compared_int8(
    model: EdgeModel, run: _Outputs, reference: _Outputs, windows: CalibrationWindows
) -> Agreement:
    """Compare outputs on held-back windows, and how well they tell labels apart."""
    found, wanted = run(windows.held_back), reference(windows.held_back)
    agreement = agreement_of(found, wanted, model.decision)
    if windows.labels is None or windows.held_back_labels is None:
        return agreement
    if model.decision:
        return add_auroc(agreement, found, wanted, windows.held_back_labels, None)
    known = reference(windows.calibration)
    varies = windows.labels.std(axis=0) > 0  # others cannot be learned
    probe = LinearProbe(known.reshape(len(known), -1), windows.labels[:, varies])
    return add_auroc(agreement, found, wanted, windows.held_back_labels[:, varies], probe)


def _contract(
    model: EdgeModel,
    graph: bytes,
    channels: int,
    precision: EdgePrecision,
    output: EdgeOutput,
    card: EdgeCard,
) -> Contract:
    config = model.config
    return Contract(
        precision=precision,
        output=output,
        num_channels=channels,
        width=config.width,
        num_columns=config.num_columns,
        column_samples=config.patch_samples,
        opset=OPSET,
        input_spec=model.input_spec,
        model=model.fingerprint,
        graph_sha256=hash_of(graph),
        card=card,
        decision=model.decision,
    )


def _write(target: Path, graph: bytes, contract: Contract) -> None:
    """Write a graph and its contract, each atomically; a reader compares their hashes."""
    atomic_files.prepare_workdir(target.parent, "path")
    with atomic_files.disk_full_as_user_error(target.parent):
        with atomic_files.atomic_write(target) as partial:
            partial.write_bytes(graph)
        atomic_files.write_json(contract_path(target), contract.to_json())

"""Export of an encoder as a graph that agrees with JAX."""

import platform
from pathlib import Path
from typing import get_args

from physio_mae_jax import atomic_files
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.inference import arguments
from physio_mae_jax.inference.edge.contract import (
    Contract,
    EdgeCard,
    EdgeOutput,
    EdgePrecision,
    contract_path,
    hash_of,
)
from physio_mae_jax.inference.edge.encoder_graph import check_supported, encoder_graph
from physio_mae_jax.inference.edge.extra import optional
from physio_mae_jax.inference.edge.graph import OPSET
from physio_mae_jax.inference.edge.parity import (
    agreement_of,
    probe_windows,
    reference,
    reference_outputs,
    require_float32,
)
from physio_mae_jax.inference.edge.session import EdgeSession
from physio_mae_jax.inference.trained_model import TrainedModel, fingerprint_of
from physio_mae_jax.local_paths import local_path
from physio_mae_jax.setting_kinds import Number

_NUM_CHANNELS = Number(low=1, high=64, whole=True, example=3)


def export_edge(
    trained: TrainedModel,
    path: str | Path,
    *,
    precision: EdgePrecision = "float32",
    output: EdgeOutput = "embedding",
    num_channels: int | None = None,
) -> Path:
    """Write the encoder as an ONNX graph for one window, and its contract.

    The graph is compared with JAX before anything is written.

    Args:
        trained: Trained model.
        path: Path of the graph; ``path + '.json'`` is its contract.
        precision: 'float32'.
        output: 'embedding' [D], or 'columns' [W, D] for each time column.
        num_channels: Number of channels M of its windows; None for that of training.

    Returns:
        The path.

    Raises:
        UserError: An argument is invalid, the model has a part without a graph, a library is not
            installed, or the graph does not agree with JAX.
    """
    _choose(precision, "precision", get_args(EdgePrecision))
    _choose(output, "output", get_args(EdgeOutput))
    target = local_path(path, "path")
    channels = trained.model_spec.input.num_channels
    if num_channels is not None:
        channels = int(arguments.setting(num_channels, "num_channels", _NUM_CHANNELS))
    check_supported(trained)
    for name in ("onnx", "onnxruntime"):
        optional(name)
    graph = encoder_graph(trained, channels, output)
    encoder, windows = reference(trained), probe_windows(trained, channels)
    wanted = reference_outputs(encoder, windows, output)
    agreement = agreement_of(EdgeSession(graph, "the graph").run(windows), wanted)
    require_float32(agreement)
    card = EdgeCard(
        num_bytes=len(graph),
        float32_agreement=agreement,
        machine=platform.machine(),
        versions={name: optional(name).__version__ for name in ("onnx", "onnxruntime", "jax")},
    )
    _write(target, graph, _contract(trained, graph, channels, precision, output, card))
    return target


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

"""Every model that the configs describe has a graph that agrees with JAX, or is named."""

import dataclasses

import pytest

from configs.pretrain import ARGUMENTS
from physio_mae_jax.data.input_spec import InputSpec
from physio_mae_jax.data.window_transform import NORMALIZATION
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.inference.edge.edge_model import EdgeModel
from physio_mae_jax.inference.edge.encoder_graph import check_supported, onnx_graph
from physio_mae_jax.inference.edge.parity import agreement_of, probe_windows, require_float32
from physio_mae_jax.inference.edge.session import open_session
from physio_mae_jax.models.encoder import TransformerEncoder
from physio_mae_jax.models.window_batch import Windows
from physio_mae_jax.signals.channels import TWELVE_LEADS
from tests.factories import random_variables
from tests.runs import typed
from tests.settings import config_of

WITHOUT_GRAPH = {
    "v31": r"model\.time_mixer='state_space'",
    "v1_upstream": r"model\.convolutional_stem='normalized'",
}
CHANNELS = (1, 2, 3, 12)


def edge_model(variant: str, preset: str) -> EdgeModel:
    """Make an untrained model of a config, narrow and of one layer: its sizes do not matter."""
    settings = typed(config_of("pretrain", f"variant={variant},preset={preset}"))
    config = dataclasses.replace(
        settings.model.for_window(settings.window_seconds, settings.sampling_rate_hz),
        depth=1,
        width=32,
        num_heads=2,
        compute_dtype="float32",
    )
    blank = Windows.blank(1, 2, config.num_samples)
    params = random_variables(TransformerEncoder(config), blank, None)["params"]
    spec = InputSpec(
        channels=TWELVE_LEADS,
        num_channels=12,
        units={},
        sampling_rate_hz=config.sampling_rate_hz,
        num_samples=config.num_samples,
        band_hz=None,
        normalization=NORMALIZATION,
        filters={},
    )
    alone = settings.contrastive.weight > 0
    return EdgeModel(config, {"encoder": params}, spec, alone, fingerprint="f")


def case(variant: str, preset: str, channels: int) -> object:
    """Return a case, slow if both its preset and its number of channels are of another case."""
    is_fast = preset == "debug" or channels == 2
    return pytest.param(variant, preset, channels, marks=() if is_fast else pytest.mark.slow)


CASES = [
    case(variant, preset, channels)
    for variant in ARGUMENTS["variant"]
    for preset in ARGUMENTS["preset"]
    for channels in CHANNELS
]


@pytest.mark.parametrize(("variant", "preset", "channels"), CASES)
def test_every_model_of_the_configs_has_a_graph_or_is_rejected(variant, preset, channels):
    model = edge_model(variant, preset)
    if variant in WITHOUT_GRAPH:
        with pytest.raises(ConfigError, match=WITHOUT_GRAPH[variant]):
            check_supported(model)
        return
    check_supported(model)
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    windows = probe_windows(model.input_spec, model.config.num_columns, channels)
    windows = {name: values[:3] for name, values in windows.items()}
    found = open_session(onnx_graph(model, channels, "columns"), "onnx", "the graph").run(windows)
    require_float32(agreement_of(found, model.reference("columns")(windows)))

"""Build the evaluation of frozen features from a ConfigDict."""

from pathlib import Path

from jax.sharding import Mesh
from ml_collections import ConfigDict

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.evaluation.evaluate_probe import (
    Extract,
    ProbeRun,
    encoder_extractor,
    wavelet_extractor,
)
from physio_mae_jax.evaluation.finetune import EvaluationConfig
from physio_mae_jax.evaluation.probes import probe_of
from physio_mae_jax.experiment.classifiers import EncoderInit, init_from_encoder
from physio_mae_jax.experiment.labelled_data import (
    LabelledData,
    open_labelled,
    report_context,
)
from physio_mae_jax.experiment.pretrained_encoders import random_init
from physio_mae_jax.experiment.run_metadata import count_devices, write_run_metadata
from physio_mae_jax.experiment.typed_config import model_settings, to_dataclass
from physio_mae_jax.setting_ranges import check_settings
from physio_mae_jax.signals.wavelet_bank import WaveletConfig, wavelet_bank
from physio_mae_jax.training import atomic_files
from physio_mae_jax.training.sharding import check_batch_size, make_mesh

# Encoders that features come from.
PRETRAINED, RANDOM, WAVELETS = "pretrained", "random", "wavelets"
ENCODERS = (PRETRAINED, RANDOM, WAVELETS)


def build_probe(
    config: ConfigDict,
    workdir: Path,
    *,
    strict: bool,
    encoder_init: EncoderInit | None = None,
    data: LabelledData | None = None,
) -> ProbeRun:
    """Open labelled data and build its feature extractors.

    Args:
        config: ConfigDict as returned by ``configs/evaluate.py:method=probe`` or ``knn``.
        workdir: Work folder, created if absent.
        strict: Whether to raise where the encoder was trained on test data.
        encoder_init, data: Encoder and data of these settings, if already loaded.

    Raises:
        UserError: An error that the user can fix.
    """
    check_settings(config)
    num_devices = count_devices(config.num_devices)
    check_batch_size(config.batch_size, 1, num_devices)
    probe_of(config.method)
    names = [name.strip() for name in config.encoders.split(",") if name.strip()]
    for name in names:
        if name not in ENCODERS:
            raise ConfigError(
                f"encoders must be of {', '.join(ENCODERS)}; got {name!r}. The first one is "
                "evaluated and the others are compared with it."
            )
    if not names:
        raise ConfigError("encoders must name at least one, such as pretrained; got an empty list.")
    evaluation = to_dataclass(EvaluationConfig, "evaluation", config.evaluation)
    encoder_init = encoder_init or _encoder_or_window(config, names)
    workdir = atomic_files.prepare_workdir(workdir)
    data = data or open_labelled(config, encoder_init.sampling_rate_hz, encoder_init.num_samples)
    data = data.with_fraction(config.label_fraction, config.seed)
    splits = ("train", "validation") if config.refit else ("train",)
    seen = data.training_provenance(
        encoder_init.pretrained.trained_on if encoder_init.pretrained else None, splits
    )
    contamination = data.contamination(seen, strict=strict)
    mesh = make_mesh(num_devices)
    write_run_metadata(config, workdir, data.model_spec(), data.split)
    return ProbeRun(
        workdir=workdir,
        extractors={
            name: _extractor(name, config, encoder_init, data.num_channels, mesh) for name in names
        },
        method=config.method,
        refit=config.refit,
        source=data.opened.source,
        reader=data.opened.reader,
        instances=data.instances,
        mesh=mesh,
        batch_size=config.batch_size,
        num_threads=config.data.num_threads,
        config=evaluation,
        context=report_context(config, data, contamination)
        | {
            "seeds": {"random encoder": config.seed, "split": config.data.split_seed},
            "label fraction": config.label_fraction,
            "checkpoint": config.init_from or config.torch_weights or "none",
            "encoders": ", ".join(names),
        },
    )


def _encoder_or_window(config: ConfigDict, names: list[str]) -> EncoderInit:
    """Return the encoder whose features are evaluated, or the window for features without one."""
    if names != [WAVELETS]:
        return init_from_encoder(
            config.init_from,
            config.torch_weights,
            config.torch_config,
            config.labels.window_seconds,
        )
    seconds = config.labels.window_seconds or config.window_seconds
    model = model_settings(config.model, seconds, config.sampling_rate_hz)
    return EncoderInit(model.sampling_rate_hz, model.num_samples, model, None)


def _extractor(
    name: str, config: ConfigDict, encoder_init: EncoderInit, num_channels: int, mesh: Mesh
) -> Extract:
    """Return the function from windows to features."""
    encoder = encoder_init.config
    assert encoder is not None
    if name == WAVELETS:
        bank = to_dataclass(WaveletConfig, "model.wavelet", config.model.wavelet)
        wavelet_bank(bank, encoder.sampling_rate_hz, encoder.num_samples)
        return wavelet_extractor(bank, encoder.sampling_rate_hz, mesh)
    start = encoder_init.pretrained
    alone = start is not None and start.channel_independent
    if name == RANDOM:
        params = random_init(encoder, num_channels, config.seed)
    else:
        assert start is not None
        params = start.params
    return encoder_extractor(encoder, params, mesh, channel_independent=alone)

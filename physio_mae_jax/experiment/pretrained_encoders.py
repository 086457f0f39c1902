"""Pre-trained encoders, from a pre-training run or the original's weights, for any window."""

import dataclasses
import logging
import os
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from physio_mae_jax.data.contamination import TrainingProvenance
from physio_mae_jax.data.json_reader import read_json
from physio_mae_jax.data.json_types import check_types
from physio_mae_jax.data.regular_file import is_folder
from physio_mae_jax.data.unclear import warn_about_newly_recognized_names
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment.model_section import count_window_samples
from physio_mae_jax.experiment.run_directory import CONFIG_FILE, check_setting, read_run
from physio_mae_jax.inference.saved_model import is_saved_model, load_model
from physio_mae_jax.inference.trained_model import load_checkpoint
from physio_mae_jax.interop.torch.checkpoint_file import read_state_dict
from physio_mae_jax.interop.torch.convert import import_state_dict
from physio_mae_jax.local_paths import local_path
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.contrastive import ContrastiveAutoencoder
from physio_mae_jax.models.encoder import TransformerEncoder
from physio_mae_jax.models.position_embedding import resize_columns
from physio_mae_jax.models.window_batch import Windows
from physio_mae_jax.training.init_transform import InitTransform
from physio_mae_jax.types import Params

_LOG = logging.getLogger(__name__)


class PretrainedEncoder(NamedTuple):
    """A pre-trained encoder.

    Attributes:
        config: Configuration of its autoencoder, for the requested window.
        params: Parameters of the encoder.
        trained_on: Hashes of its training data; empty if unknown.
        origin: Run or weight file it was loaded from, for reports.
        channel_independent: Whether it encodes each channel separately, see ``ModelSpec``.
    """

    config: MaeConfig
    params: Params
    trained_on: TrainingProvenance
    origin: str
    channel_independent: bool

    def for_training(self) -> InitTransform:
        """Return the transform that starts a training from these parameters."""
        return InitTransform(self.params, self.channel_independent)


def load_encoder(folder: str, window_seconds: float) -> PretrainedEncoder:
    """Load an encoder, its positions interpolated for another window.

    Args:
        folder: Name of a shipped model, work folder of a pre-training run, or folder of
            ``Encoder.save_pretrained``.
        window_seconds: Length of the input windows (s); 0 for the length trained on.

    Raises:
        UserError: The run or checkpoint does not exist, or the window is not an integer number of
            columns.
    """
    if not folder:
        raise ConfigError(
            "init_from is empty; name an encoder with --config.init_from=physio-small or "
            "--config.init_from=DIR."
        )
    if is_saved_model(folder):
        trained = load_model(folder, allow_hub=False)
    else:
        _reject_other_command(folder)
        trained = load_checkpoint(folder)
    warn_about_newly_recognized_names(folder, trained.model_spec.input.channels)
    start = PretrainedEncoder(
        config=trained.model_spec.model,
        params=trained.autoencoder_params["encoder"],
        trained_on=trained.trained_on,
        origin=folder,
        channel_independent=trained.model_spec.channel_independent,
    )
    return _adapt_to_window(start, window_seconds)


def _reject_other_command(folder: str) -> None:
    """Raise a ConfigError, with a hint, for a run that was not a pre-training."""
    if not (is_folder(Path(folder)) and os.path.lexists(Path(folder) / CONFIG_FILE)):
        return
    settings = read_run(folder)
    command = check_setting(settings, "command", str, folder)
    if command != "pretrain":
        began = settings.get("init_from")
        other = f", such as the one it was initialized from, {began}" if began else ""
        raise ConfigError(
            f"the run in {folder} was a {command!r} run; an encoder is read from a "
            f"pre-training{other}. A fine-tuned model is evaluated by "
            "--config=configs/evaluate.py:method=head."
        )


def load_torch_encoder(path: str, config_path: str, window_seconds: float) -> PretrainedEncoder:
    """Load the encoder from weights of the original implementation.

    Args:
        path: Path of a .pth or .npz file.
        config_path: Path of a JSON file with the arguments of the original's constructor.
        window_seconds: Length of the input windows (s); 0 for the length trained on.

    Raises:
        UserError: A file is missing or broken, or the weights do not fit the arguments.
    """
    hint = (
        "give a JSON file with the arguments of the constructor that made the weights, such as "
        "signal_len, as torch_config."
    )
    if not config_path:
        raise ConfigError(f"torch_config is empty; {hint}")
    content = read_json(local_path(config_path, "torch_config"), hint)
    arguments = check_types(dict, content, config_path, hint)
    model, params = import_state_dict(read_state_dict(path), arguments)
    is_contrastive = isinstance(model, ContrastiveAutoencoder)
    tree = params["autoencoder"] if is_contrastive else params
    start = PretrainedEncoder(
        config=model.config,
        params=tree["encoder"],
        trained_on=TrainingProvenance.unknown(),
        origin=path,
        channel_independent=is_contrastive,
    )
    return _adapt_to_window(start, window_seconds)


def random_init(config: MaeConfig, num_channels: int, seed: int) -> Params:
    """Make the parameters of an untrained encoder; a single channel needs fewer of them."""
    windows = Windows.blank(1, num_channels, config.num_samples)
    init = jax.jit(lambda key: TransformerEncoder(config).init(key, windows, None))
    return init(jax.random.key(seed))["params"]


def _adapt_to_window(start: PretrainedEncoder, window_seconds: float) -> PretrainedEncoder:
    """Adapt an encoder to this machine and to another window."""
    config, params = start.config.for_platform(jax.default_backend()), start.params
    num_samples = config.num_samples
    if window_seconds:
        num_samples = count_window_samples(window_seconds, config.sampling_rate_hz)
    if num_samples != config.num_samples:
        fitted = dataclasses.replace(config, num_samples=num_samples)
        tokenizer = dict(params["tokenizer"])
        tokenizer["position"] = resize_columns(
            np.asarray(tokenizer["position"]), fitted.num_columns
        )
        _LOG.info(
            "interpolated the position embedding of %s from %d to %d columns",
            *(start.origin, config.num_columns, fitted.num_columns),
        )
        params, config = {**params, "tokenizer": tokenizer}, fitted
    leaves = jax.tree.leaves(params)
    _LOG.info(
        "loaded %d arrays, %.2f M parameters of the encoder, from %s",
        *(len(leaves), sum(leaf.size for leaf in leaves) / 1e6, start.origin),
    )
    return start._replace(config=config, params=params)

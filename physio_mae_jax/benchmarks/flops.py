"""Model FLOPs, counted from shapes.

A matmul of [m, k] and [k, n] counts 2·m·k·n. Norms, activations, rotations and the optimizer are
excluded: they are a per cent or two. Rematerialization is not counted either, so that time spent
on it shows as lower utilization (Chowdhery et al. 2022).
"""

import dataclasses
import math

from physio_mae_jax.models.attention import ChannelAttention
from physio_mae_jax.models.block_config import BlockConfig
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.layer_plan import LayerPlan
from physio_mae_jax.models.layers import linear_operations
from physio_mae_jax.models.mixers import MIXERS
from physio_mae_jax.models.mixers.base import SequenceShape

# A backward pass has two matmuls for each one of the forward pass.
_TRAINING = 3


@dataclasses.dataclass(frozen=True)
class Operations:
    """Floating-point operations of one example in one forward pass, by component."""

    wavelets: float
    tokenizer: float
    encoder: float
    decoder: float
    heads: float

    @property
    def model(self) -> float:
        """Operations without the wavelets, which have no parameters and no backward pass."""
        return self.tokenizer + self.encoder + self.decoder + self.heads

    @property
    def training(self) -> float:
        """Operations of one example in a training step."""
        return self.wavelets + _TRAINING * self.model


@dataclasses.dataclass(frozen=True)
class TokenCounts:
    """Number of tokens and columns of a window that pre-training processes.

    Attributes:
        tokens: Visible tokens per channel (the average if they differ).
        embedded_columns: Embedded columns per channel; all if single tokens are masked.
        predicted_columns: Predicted columns per channel.
        decoded_columns: Columns per channel that the decoder processes.
    """

    tokens: float
    embedded_columns: int
    predicted_columns: int
    decoded_columns: int


def training_operations(cfg: MaeConfig, num_channels: int, seen: TokenCounts) -> Operations:
    """Count the operations of one pre-training example.

    Args:
        cfg: Model config.
        num_channels: Number of channels M.
        seen: Visible and predicted tokens under the mask.
    """
    embed = 2 * num_channels * seen.tokens * cfg.width * cfg.decoder_width
    decoder = _stack(
        cfg.decoder_blocks,
        cfg.decoder_depth,
        SequenceShape(
            num_channels, seen.decoded_columns * cfg.num_rows, cfg.num_rows, cfg.decoder_width
        ),
        joint=cfg.decoder_attention == "joint",
    )
    return Operations(
        wavelets=wavelet_operations(cfg, num_channels),
        tokenizer=_tokenizer(cfg, num_channels, seen.embedded_columns),
        encoder=_encoder(cfg, num_channels, seen.tokens),
        decoder=embed + decoder,
        heads=_heads(cfg, num_channels, seen.predicted_columns),
    )


def feature_operations(cfg: MaeConfig, num_channels: int) -> Operations:
    """Count the operations of encoding one whole window."""
    return Operations(
        wavelets=wavelet_operations(cfg, num_channels),
        tokenizer=_tokenizer(cfg, num_channels, cfg.num_columns),
        encoder=_encoder(cfg, num_channels, cfg.num_tokens),
        decoder=0.0,
        heads=0.0,
    )


def wavelet_operations(cfg: MaeConfig, num_channels: int) -> float:
    """Count the transforms of one example as real FFTs, 2.5 N log2 N each."""
    planes = num_channels * (3 if cfg.wavelet.difference_planes else 1)
    # Kernels extend past both ends of a window, by up to a window's length in total.
    length = 2 * cfg.num_samples
    transform = 2.5 * length * math.log2(length)
    scales = cfg.wavelet.num_scales
    return planes * ((1 + scales) * transform + scales * 3 * length)


def _tokenizer(cfg: MaeConfig, num_channels: int, columns: int) -> float:
    """Count the projections of patches and of waveform columns."""
    boxes = 2 * cfg.patch_size * cfg.width * cfg.num_rows
    samples = 2 * cfg.patch_samples * cfg.width if cfg.waveform_branch else 0
    return float(num_channels * columns * (boxes + samples))


def _encoder(cfg: MaeConfig, num_channels: int, tokens: float) -> float:
    return _stack(
        cfg.encoder_blocks,
        cfg.depth,
        SequenceShape(num_channels, tokens, cfg.num_rows, cfg.width),
        joint=cfg.encoder_attention == "joint",
    )


def _stack(settings: BlockConfig, depth: int, shape: SequenceShape, *, joint: bool) -> float:
    """Count the blocks of a stack, each with its time mixer."""
    mixers = LayerPlan(depth, settings.attention_every).mixers(settings.time_mixer)
    return sum(
        mixers.count(name) * _block(settings._replace(time_mixer=name), shape, joint=joint)
        for name in dict.fromkeys(mixers)
    )


def _block(settings: BlockConfig, shape: SequenceShape, *, joint: bool) -> float:
    """Count a block over a sequence per channel, or one of all channels."""
    num_channels, width = shape.num_sequences, shape.width
    tokens = num_channels * shape.num_tokens
    sequences = SequenceShape(1, tokens, 1, width) if joint else shape
    operations = MIXERS[settings.time_mixer].operations(settings, sequences)
    if settings.channel_attention and not joint and num_channels > 1:
        operations += tokens * ChannelAttention.operations(settings, num_channels, width)
    expand = linear_operations(width, 4 * width, settings.mlp_rank_ratio)
    contract = linear_operations(4 * width, width, settings.mlp_rank_ratio)
    return float(operations + tokens * (expand + contract))


def _heads(cfg: MaeConfig, num_channels: int, columns: int) -> float:
    """Count the output heads of patches and samples for the predicted columns."""
    boxes = cfg.num_rows * 2 * cfg.decoder_width * cfg.patch_size
    reducer = 2 * cfg.num_rows * cfg.decoder_width**2
    samples = 2 * cfg.decoder_width * cfg.patch_samples
    return float(num_channels * columns * (boxes + reducer + samples))

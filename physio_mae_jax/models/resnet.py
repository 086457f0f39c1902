"""Supervised convolutional baselines: resnet1d_wang and xresnet1d101 of the PTB-XL benchmark.

Both are networks of N. Strodthoff, P. Wagner, T. Schaeffter and W. Samek, "Deep Learning for ECG
Analysis: Benchmarks and Insights from PTB-XL", IEEE JBHI 2021 (arXiv 2004.13701), without the
head: ``features`` returns the input of the published head. Sizes that the paper does not state
are those of the authors' public code, helme/ecg_ptbxl_benchmarking, to which both are equal with
one exception: running variances are not corrected for the sample size, as PyTorch's are. The
authors use windows of 2.5 s at 100 Hz; any length is supported.

Internally a signal is channel last, [B, T, F]: T steps in time, F features.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.models.window_batch import Windows

_DTYPES = ("float32", "bfloat16")
_EXPANSION = 4
_NORM_EPSILON = 1e-5
# Decay of the running statistics; PyTorch's momentum is one minus this.
_NORM_MOMENTUM = 0.9
# The authors' initialization of every convolution; ``he_normal`` would truncate the normal.
_kernel_init = nn.initializers.variance_scaling(2.0, "fan_in", "normal")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResNetConfig:
    """Shape and numerics of a convolutional baseline; ``BASELINES`` holds the published ones.

    Attributes:
        architecture: 'resnet1d_wang' or 'xresnet1d101', the kind of stem and of residual block.
        width: Features of a stage; in 'xresnet1d101' those of the bottleneck, whose output has
            four times as many. All stages have the same width.
        blocks: Residual blocks of each stage. Every stage but the first halves the time steps.
        compute_dtype: 'float32' or 'bfloat16'; parameters and statistics are always float32.

    Raises:
        ConfigError: A value is invalid.
    """

    architecture: str
    width: int
    blocks: tuple[int, ...]
    compute_dtype: str = "float32"

    def __post_init__(self) -> None:
        for name, choices in (("architecture", tuple(_NETWORKS)), ("compute_dtype", _DTYPES)):
            if getattr(self, name) not in choices:
                raise ConfigError(
                    f"model.{name} is {getattr(self, name)!r}; choose one of {', '.join(choices)}."
                )
        if not isinstance(self.width, int) or self.width < 1:
            raise ConfigError(
                f"model.width must be an integer >= 1 ({BASELINES[self.architecture].width} as "
                f"published); got {self.width!r}."
            )
        if self.architecture == "xresnet1d101" and self.width % 2:
            raise ConfigError(
                f"model.width must be even with model.architecture='xresnet1d101', whose stem "
                f"starts with half of it; got {self.width}."
            )
        counts = self.blocks if isinstance(self.blocks, tuple) else ()
        if not counts or not all(isinstance(count, int) and count > 0 for count in counts):
            raise ConfigError(
                f"model.blocks must be a tuple with the number of blocks of each stage, >= 1 "
                f"({BASELINES[self.architecture].blocks} as published); got {self.blocks!r}."
            )

    @property
    def dtype(self) -> jnp.dtype:
        """The compute type."""
        return jnp.dtype(self.compute_dtype)


class ConvNorm(nn.Module):
    """A convolution without bias, a batch normalization and an optional ReLU.

    Attributes:
        features: Number of output features.
        kernel_size: Odd number of taps; half of it is zero-padded at both ends.
        dtype: Compute type.
        stride: Stride of the convolution.
        rectify: Whether to end with a ReLU.
        zero_scale: Initialize the scale of the normalization to 0, not 1.
    """

    features: int
    kernel_size: int
    dtype: jnp.dtype
    stride: int = 1
    rectify: bool = True
    zero_scale: bool = False

    @nn.compact
    def __call__(self, values: jax.Array, train: bool) -> jax.Array:
        """Map [B, T, F] to [B, ceil(T / stride), features]."""
        reach = self.kernel_size // 2
        values = nn.Conv(
            self.features,
            (self.kernel_size,),
            strides=(self.stride,),
            # Not "SAME", which shifts a strided convolution by one step if T is even.
            padding=[(reach, reach)],
            use_bias=False,
            dtype=self.dtype,
            kernel_init=_kernel_init,
            name="convolution",
        )(values)
        values = nn.BatchNorm(
            use_running_average=not train,
            momentum=_NORM_MOMENTUM,
            epsilon=_NORM_EPSILON,
            # E[x²] - E[x]² loses precision that accumulates over 33 consecutive blocks.
            use_fast_variance=False,
            dtype=self.dtype,
            scale_init=nn.initializers.zeros if self.zero_scale else nn.initializers.ones,
            name="norm",
        )(values)
        return nn.relu(values) if self.rectify else values


class BasicBlock(nn.Module):
    """Two convolutions, of 5 and 3 taps, around a shortcut (He et al. 2016; one dimension).

    The shortcut is the identity, or a one-tap convolution if the block changes the shape.
    """

    features: int
    dtype: jnp.dtype
    stride: int = 1

    @nn.compact
    def __call__(self, values: jax.Array, train: bool) -> jax.Array:
        """Map [B, T, F] to [B, ceil(T / stride), features]."""
        branch = ConvNorm(self.features, 5, self.dtype, self.stride, name="first")(values, train)
        branch = ConvNorm(self.features, 3, self.dtype, rectify=False, name="second")(branch, train)
        if self.stride > 1 or values.shape[-1] != self.features:
            shortcut = ConvNorm(self.features, 1, self.dtype, self.stride, False, name="shortcut")
            values = shortcut(values, train)
        return nn.relu(branch + values)


class Bottleneck(nn.Module):
    """Bottleneck of one, 5 and one taps, widening fourfold, around an averaging shortcut.

    The block of "Bag of Tricks for Image Classification with Convolutional Neural Networks" (T. He
    et al. 2019; ResNet-D): the stride sits in the middle convolution, the shortcut averages pairs
    of steps instead of dropping every other one, and the last scale starts at 0, so that an
    untrained block returns its shortcut.
    """

    width: int
    dtype: jnp.dtype
    stride: int = 1

    @nn.compact
    def __call__(self, values: jax.Array, train: bool) -> jax.Array:
        """Map [B, T, F] to [B, ceil(T / stride), 4 · width]; ``stride`` is 1 or 2."""
        features = _EXPANSION * self.width
        branch = ConvNorm(self.width, 1, self.dtype, name="narrow")(values, train)
        branch = ConvNorm(self.width, 5, self.dtype, self.stride, name="middle")(branch, train)
        widen = ConvNorm(features, 1, self.dtype, rectify=False, zero_scale=True, name="widen")
        branch = widen(branch, train)
        if self.stride > 1:
            # With an odd number of steps the last one has no partner and is kept unchanged.
            window = (self.stride,)
            values = nn.avg_pool(values, window, window, padding="SAME", count_include_pad=False)
        if values.shape[-1] != features:
            shortcut = ConvNorm(features, 1, self.dtype, rectify=False, name="shortcut")
            values = shortcut(values, train)
        return nn.relu(branch + values)


class ResNetBase(nn.Module):
    """Common base of the networks: maps a window to one vector.

    Running statistics of the batch normalizations live in the collection 'batch_stats';
    ``train=True`` with ``mutable=['batch_stats']`` updates them. Batch statistics include every
    example, so a training batch must not be padded with empty ones.
    """

    config: ResNetConfig

    def feature_map(
        self, signal: jax.Array, channel_mask: jax.Array, *, train: bool = False
    ) -> jax.Array:
        """Map a signal [B, M, L] with a mask [B, M], True = present, to [B, T, F]."""
        raise NotImplementedError

    def features(self, windows: Windows, *, train: bool = False) -> jax.Array:
        """Return one vector for each window, the input of the published head.

        Args:
            windows: Full windows. M and the order of channels must be those of the parameters,
                unlike in the autoencoder. An absent channel counts as zeros; ids are unused.
            train: Normalize by batch statistics instead of running statistics.

        Returns:
            [B, D] float32: the maximum over time of each feature, then the mean of each.
            D is 2 · width in 'resnet1d_wang' and 8 · width in 'xresnet1d101'.

        Raises:
            flax.errors.ScopeParamShapeError: M differs from that of the parameters.
        """
        # The stem has separate weights for each index in M: the index identifies the channel.
        values = self.feature_map(windows.signal, windows.channel_mask, train=train).astype(
            jnp.float32
        )
        return jnp.concatenate([values.max(axis=1), values.mean(axis=1)], axis=-1)

    def _channels_last(self, signal: jax.Array, channel_mask: jax.Array) -> jax.Array:
        """Zero absent channels and transpose [B, M, L] to [B, L, M] of the compute type."""
        signal = jnp.where(channel_mask[:, :, None], signal, 0.0)
        return signal.swapaxes(1, 2).astype(self.config.dtype)


class ResNet1d(ResNetBase):
    """resnet1d_wang: a wide stem at full rate and three basic blocks; T = ceil(L / 4).

    Named after Z. Wang, W. Yan and T. Oates, "Time Series Classification from Scratch with Deep
    Neural Networks: A Strong Baseline" (IJCNN 2017), but this is the benchmark's adaptation: two
    convolutions per block instead of three (8, 5 and 3 taps), 128 features throughout instead of
    64 at first, a stem in front, stride 2 in blocks two and three, and max pooling in addition to
    mean pooling.
    """

    @nn.compact
    def feature_map(
        self, signal: jax.Array, channel_mask: jax.Array, *, train: bool = False
    ) -> jax.Array:
        """Map a signal [B, M, L] with a mask [B, M], True = present, to [B, T, width]."""
        cfg = self.config
        values = self._channels_last(signal, channel_mask)
        values = ConvNorm(cfg.width, 7, cfg.dtype, name="stem")(values, train)
        for name, stride in _block_strides(cfg.blocks):
            values = BasicBlock(cfg.width, cfg.dtype, stride, name=name)(values, train)
        return values


class XResNet1d101(ResNetBase):
    """xresnet1d101: a stem of three convolutions, then 33 bottlenecks; T = ceil(L / 32).

    fastai's xresnet101 (T. He et al. 2019, ResNet-D) in one dimension as in the benchmark: 5 taps
    instead of 3 × 3, and 64 · 4 features in all stages, whereas the image network doubles them per
    stage. The last scale of a block starts at 0, as in the authors' network; their training script
    set it to 1 before training.
    """

    @nn.compact
    def feature_map(
        self, signal: jax.Array, channel_mask: jax.Array, *, train: bool = False
    ) -> jax.Array:
        """Map a signal [B, M, L] with a mask [B, M], True = present, to [B, T, 4 · width]."""
        cfg = self.config
        values = self._channels_last(signal, channel_mask)
        stem = ((cfg.width // 2, 2), (cfg.width // 2, 1), (cfg.width, 1))
        for index, (features, stride) in enumerate(stem):
            values = ConvNorm(features, 5, cfg.dtype, stride, name=f"stem{index}")(values, train)
        values = nn.max_pool(values, (3,), strides=(2,), padding=[(1, 1)])
        for name, stride in _block_strides(cfg.blocks):
            values = Bottleneck(cfg.width, cfg.dtype, stride, name=name)(values, train)
        return values


def _block_strides(blocks: tuple[int, ...]) -> list[tuple[str, int]]:
    """Return name and stride of each block: 2 for the first of every stage but the first."""
    return [
        (f"stage{stage}_block{index}", 2 if stage and not index else 1)
        for stage, count in enumerate(blocks)
        for index in range(count)
    ]


_NETWORKS: dict[str, type[ResNetBase]] = {
    "resnet1d_wang": ResNet1d,
    "xresnet1d101": XResNet1d101,
}

# The published networks by name.
BASELINES = {
    "resnet1d_wang": ResNetConfig(architecture="resnet1d_wang", width=128, blocks=(1, 1, 1)),
    "xresnet1d101": ResNetConfig(architecture="xresnet1d101", width=64, blocks=(3, 4, 23, 3)),
}


def make_resnet(config: ResNetConfig, name: str | None = None) -> ResNetBase:
    """Build the network of a configuration; ``name`` is its name inside another module."""
    return _NETWORKS[config.architecture](config, name=name)

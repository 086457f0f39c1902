"""Supervised convolutional baselines: resnet1d_wang and xresnet1d101 of the PTB-XL benchmark.

Both are networks of N. Strodthoff, P. Wagner, T. Schaeffter and W. Samek, "Deep Learning for ECG
Analysis: Benchmarks and Insights from PTB-XL", IEEE JBHI 2021 (arXiv 2004.13701), without the
head: what ``features`` returns is what the published head is given. Sizes that the paper leaves
open are those of the authors' public code, helme/ecg_ptbxl_benchmarking, to which both are equal
but for one thing: running variances are not corrected for the size of the sample, as PyTorch's
are. The authors cut windows of 2.5 s at 100 Hz; any length will do.

Inside, a signal is channel last, [B, T, F]: T steps in time, F features.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.errors import ConfigError

_DTYPES = ("float32", "bfloat16")
_EXPANSION = 4
_NORM_EPSILON = 1e-5
# Share of the running statistics that outlives a batch; PyTorch's momentum is what a batch brings.
_NORM_MOMENTUM = 0.9
# As the authors' training script starts every convolution; ``he_normal`` would cut the normal.
_kernel_init = nn.initializers.variance_scaling(2.0, "fan_in", "normal")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResNetConfig:
    """Shape and numerics of a convolutional baseline; ``BASELINES`` holds the published ones.

    Attributes:
        architecture: 'resnet1d_wang' or 'xresnet1d101', the kind of stem and of residual block.
        width: features of a stage; of the narrow middle of its blocks in 'xresnet1d101', which
            puts out four times as many. Stages do not widen.
        blocks: residual blocks of each stage. Every stage but the first halves the time steps.
        compute_dtype: 'float32' or 'bfloat16'; parameters and statistics are float32 always.

    Raises:
        ConfigError: a value that no network can be made of.
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
                f"model.width is {self.width!r}; give a whole number of features, 1 or more "
                f"({BASELINES[self.architecture].width} as published)."
            )
        if self.architecture == "xresnet1d101" and self.width % 2:
            raise ConfigError(
                f"model.width={self.width} is odd, but the stem of "
                f"model.architecture='xresnet1d101' starts with half of it; make it even."
            )
        counts = self.blocks if isinstance(self.blocks, tuple) else ()
        if not counts or not all(isinstance(count, int) and count > 0 for count in counts):
            raise ConfigError(
                f"model.blocks is {self.blocks!r}; give a tuple with the number of blocks of each "
                f"stage, 1 or more ({BASELINES[self.architecture].blocks} as published)."
            )

    @property
    def dtype(self) -> jnp.dtype:
        """The compute type."""
        return jnp.dtype(self.compute_dtype)


class ConvNorm(nn.Module):
    """A convolution without bias, a batch normalisation and, if wanted, a ReLU.

    Attributes:
        features: number put out.
        kernel_size: odd; half of it is padded with zeros at both ends.
        dtype: of the computation.
        stride: of the convolution.
        rectify: end with a ReLU.
        zero_scale: start the scale of the normalisation at 0, not 1.
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
            # Not "SAME", which shifts a strided convolution by a step where T is even.
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
            # E[x²] - E[x]² loses digits that 33 blocks one after another make felt.
            use_fast_variance=False,
            dtype=self.dtype,
            scale_init=nn.initializers.zeros if self.zero_scale else nn.initializers.ones,
            name="norm",
        )(values)
        return nn.relu(values) if self.rectify else values


class BasicBlock(nn.Module):
    """Two convolutions, of 5 and 3 taps, around a shortcut (He et al. 2016; one dimension).

    The shortcut is the identity, or a convolution of one tap where the block changes the shape.
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
    """Narrow, convolve with 5 taps, widen fourfold, around a shortcut that averages.

    The block of "Bag of Tricks for Image Classification with Convolutional Neural Networks" (T. He
    et al. 2019; ResNet-D): the stride sits in the middle convolution, the shortcut averages pairs
    of steps instead of dropping every other one, and the last scale starts at 0, so that an
    untrained block hands its shortcut on.
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
            # Of an odd number of steps the last has no partner and is kept as it is.
            window = (self.stride,)
            values = nn.avg_pool(values, window, window, padding="SAME", count_include_pad=False)
        if values.shape[-1] != features:
            shortcut = ConvNorm(features, 1, self.dtype, rectify=False, name="shortcut")
            values = shortcut(values, train)
        return nn.relu(branch + values)


class ConvolutionalBaseline(nn.Module):
    """What the networks share: a window in, one vector out.

    Running statistics of the batch normalisations live in the collection 'batch_stats';
    ``train=True`` with ``mutable=['batch_stats']`` updates them. Statistics of a batch count every
    example, so one for training must not be filled up with empty ones.
    """

    config: ResNetConfig

    def feature_map(
        self, signal: jax.Array, channel_mask: jax.Array, *, train: bool = False
    ) -> jax.Array:
        """Map a signal [B, M, L] with a mask [B, M], True = present, to [B, T, F]."""
        raise NotImplementedError

    def features(
        self,
        signal: jax.Array,
        channel_mask: jax.Array,
        channel_ids: jax.Array,
        *,
        train: bool = False,
    ) -> jax.Array:
        """Describe each window by one vector, that in front of the published head.

        Args:
            signal: [B, M, L] float32, z-scored. M and the order of channels must be those of the
                parameters, unlike in the autoencoder.
            channel_mask: [B, M] bool, True = present. An absent channel counts as zeros.
            channel_ids: [B, M] int, not used.
            train: normalise by the batch, not by running statistics.

        Returns:
            [B, D] float32: the greatest value over time of each feature, then the mean of each.
            D is 2 · width in 'resnet1d_wang' and 8 · width in 'xresnet1d101'.

        Raises:
            flax.errors.ScopeParamShapeError: M differs from that of the parameters.
        """
        # The stem has weights of its own for each place in M: the place is the channel's name.
        del channel_ids
        values = self.feature_map(signal, channel_mask, train=train).astype(jnp.float32)
        return jnp.concatenate([values.max(axis=1), values.mean(axis=1)], axis=-1)

    def _channels_last(self, signal: jax.Array, channel_mask: jax.Array) -> jax.Array:
        """Silence absent channels and turn [B, M, L] into [B, L, M] of the compute type."""
        signal = jnp.where(channel_mask[:, :, None], signal, 0.0)
        return signal.swapaxes(1, 2).astype(self.config.dtype)


class ResNet1d(ConvolutionalBaseline):
    """resnet1d_wang: a wide stem at full rate and three basic blocks; T = ceil(L / 4).

    Named after Z. Wang, W. Yan and T. Oates, "Time Series Classification from Scratch with Deep
    Neural Networks: A Strong Baseline" (IJCNN 2017), but it is the benchmark's adaptation that is
    built here: two convolutions a block where Wang et al. have three (8, 5 and 3 taps), 128
    features throughout where they begin with 64, a stem in front, blocks two and three at stride
    2, and a maximum beside the mean when pooling.
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


class XResNet1d101(ConvolutionalBaseline):
    """xresnet1d101: a stem of three convolutions, then 33 bottlenecks; T = ceil(L / 32).

    fastai's xresnet101 (T. He et al. 2019, ResNet-D) in one dimension as the benchmark has it: 5
    taps where images have 3 × 3, and 64 · 4 features in all stages where the image network doubles
    them. The last scale of a block starts at 0, as the authors' network has it; their training
    script set it to 1 before it began.
    """

    @nn.compact
    def feature_map(
        self, signal: jax.Array, channel_mask: jax.Array, *, train: bool = False
    ) -> jax.Array:
        """Map a signal [B, M, L] with a mask [B, M], True = present, to [B, T, 4 · width]."""
        cfg = self.config
        values = self._channels_last(signal, channel_mask)
        stem = ((cfg.width // 2, 2), (cfg.width // 2, 1), (cfg.width, 1))
        for place, (features, stride) in enumerate(stem):
            values = ConvNorm(features, 5, cfg.dtype, stride, name=f"stem{place}")(values, train)
        values = nn.max_pool(values, (3,), strides=(2,), padding=[(1, 1)])
        for name, stride in _block_strides(cfg.blocks):
            values = Bottleneck(cfg.width, cfg.dtype, stride, name=name)(values, train)
        return values


def _block_strides(blocks: tuple[int, ...]) -> list[tuple[str, int]]:
    """List name and stride of each block: 2 for the first of every stage but the first."""
    return [
        (f"stage{stage}_block{place}", 2 if stage and not place else 1)
        for stage, count in enumerate(blocks)
        for place in range(count)
    ]


_NETWORKS: dict[str, type[ConvolutionalBaseline]] = {
    "resnet1d_wang": ResNet1d,
    "xresnet1d101": XResNet1d101,
}

# The published networks by name.
BASELINES = {
    "resnet1d_wang": ResNetConfig(architecture="resnet1d_wang", width=128, blocks=(1, 1, 1)),
    "xresnet1d101": ResNetConfig(architecture="xresnet1d101", width=64, blocks=(3, 4, 23, 3)),
}


def make_baseline(config: ResNetConfig, name: str | None = None) -> ConvolutionalBaseline:
    """Make the network that a configuration describes, with a name inside another module."""
    return _NETWORKS[config.architecture](config, name=name)

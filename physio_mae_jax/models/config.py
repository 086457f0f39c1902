"""Shape and numerics of a masked autoencoder, checked before anything is compiled."""

import dataclasses
from typing import Literal

import jax.numpy as jnp

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.setting_ranges import check_fields
from physio_mae_jax.signals.vocabulary import NUM_FIRST_NAMES, VOCABULARY
from physio_mae_jax.signals.wavelet import Method
from physio_mae_jax.signals.wavelet_bank import WaveletConfig

AttentionImplementation = Literal["xla", "cudnn", "fused"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaeConfig:
    """Shape and numerics of a masked autoencoder.

    Attributes:
        sampling_rate_hz: rate of the signals it is given.
        num_samples: L, length of a window.
        wavelet: the scalogram's bank.
        patch_samples: samples a column (pt).
        patch_scales: scales a frequency row (pf).
        width, depth, num_heads: of the encoder.
        decoder_width, decoder_depth, decoder_num_heads: of the decoder.
        encoder_attention, decoder_attention: 'factorized' (time, then channels) or 'joint' (all
            tokens of all channels in one sequence).
        attention_block_seconds: 0 lets all tokens of a channel attend to each other; else those of
            blocks of about so long to their own block and the two beside it, so that time and
            memory grow with the window and not its square. Factorized attention only.
        channel_attention: False leaves out attention across channels.
        channel_smoothing: False leaves out the smoothing in time before it.
        mlp_rank_ratio, attention_rank_ratio: of the encoder's linear layers, their rank as a share
            of the smaller side (models.md#low-rank-layers); 0 for full matrices.
        class_token: put one learned token in front of a joint sequence.
        decoder_class_position: whether the decoder adds a position to that token. The original v1
            never does, v2 always; 'one_channel' does for inputs of one channel, which is right
            for weights of either, v2 having one channel only and v1 being made for several.
        rotary_positions: a token turns by its 'column', that is its time, or, as in the original
            v1 and v2, by its place in the list of 'token's, row after row.
        waveform_branch: add raw samples to the wavelet tokens.
        convolutional_stem: 'normalised' puts two 3 × 3 convolutions, each with a group
            normalisation, before the patches; 'folded' has none of these, as weights of the
            original need, whose batch normalisation is part of the convolution once trained.
        waveform_head_norm: normalise within the head that predicts samples.
        channel_embedding: add a learned vector for the name of each channel to the tokens.
        decoder_channel_identity: to those of the decoder too, where a channel may be hidden whole.
        num_channel_names: names of ``signals.vocabulary`` that have a vector; the others are
            "unknown" to the model, as they were when it was trained.
        attention_implementation: 'xla'; on an NVIDIA GPU in bfloat16 also 'cudnn' for attention
            over time, and 'fused', which adds ``models.kernels``: attention across channels,
            rotary positions, sums and norms, smoothing and the GELU; and wavelets by products.
        remat: what the backward pass recomputes: 'none', 'elementwise' (what is cheap and large:
            the GELU, a norm) or 'full'.
        unroll_layers: write the layers out one after another instead of as a loop: faster, since
            a loop copies what the backward pass needs, and longer to compile.
        compute_dtype: 'float32' or 'bfloat16'; parameters are float32 always.
    """

    sampling_rate_hz: float
    num_samples: int
    wavelet: WaveletConfig
    patch_samples: int
    patch_scales: int
    width: int
    depth: int
    num_heads: int
    decoder_width: int
    decoder_depth: int
    decoder_num_heads: int
    encoder_attention: str = "factorized"
    decoder_attention: str = "factorized"
    attention_block_seconds: float = 0.0
    channel_attention: bool = True
    channel_smoothing: bool = True
    mlp_rank_ratio: float = 0.0
    attention_rank_ratio: float = 0.0
    class_token: bool = False
    decoder_class_position: str = "always"
    rotary_positions: str = "column"
    waveform_branch: bool = True
    convolutional_stem: str = "none"
    waveform_head_norm: bool = True
    channel_embedding: bool = True
    decoder_channel_identity: bool = False
    num_channel_names: int = NUM_FIRST_NAMES
    attention_implementation: AttentionImplementation = "xla"
    remat: str = "none"
    unroll_layers: bool = False
    compute_dtype: str = "float32"

    def __post_init__(self) -> None:
        check_fields(self, "model")
        if not isinstance(self.wavelet, WaveletConfig):
            raise ConfigError("model.wavelet is missing; it says which bank of wavelets is used.")
        self._check_patches()
        self._check_width("model.width", self.width, "model.num_heads", self.num_heads)
        self._check_width(
            "model.decoder_width",
            self.decoder_width,
            "model.decoder_num_heads",
            self.decoder_num_heads,
        )
        self._check_variant()
        if not 1 <= self.num_channel_names <= len(VOCABULARY):
            raise ConfigError(
                f"model.num_channel_names is {self.num_channel_names}; this version knows "
                f"{len(VOCABULARY)} names of channels. A model with more is of a newer version."
            )
        if self.attention_implementation != "xla" and self.compute_dtype != "bfloat16":
            raise ConfigError(
                f"model.attention_implementation is {self.attention_implementation!r}, which "
                "computes in bfloat16 only; set model.compute_dtype to 'bfloat16' or "
                "model.attention_implementation to 'xla'."
            )

    def for_inference(self) -> "MaeConfig":
        """Return the same model without what only serves the backward pass."""
        return dataclasses.replace(self, remat="none", unroll_layers=False)

    def for_platform(self, platform: str) -> "MaeConfig":
        """Return the same model by operations that a JAX platform ('cpu', 'gpu', 'tpu') has.

        A model trained with fused attention is thereby used, or trained on, where there is none:
        its parameters are the same, its results to rounding.
        """
        if platform == "gpu" or self.attention_implementation == "xla":
            return self
        return dataclasses.replace(self, attention_implementation="xla", unroll_layers=False)

    def _check_variant(self) -> None:
        if self.class_token and "factorized" in (self.encoder_attention, self.decoder_attention):
            raise ConfigError(
                "model.class_token=True needs one sequence to stand in front of; set "
                "model.encoder_attention and model.decoder_attention to 'joint', or it to False."
            )
        if self.attention_block_seconds:
            self._check_blocks()
        if self.convolutional_stem != "none" and self.width % 4:
            raise ConfigError(
                f"model.width={self.width} is not divisible by 4, as the channels of "
                f"model.convolutional_stem={self.convolutional_stem!r} must be; change one of them."
            )

    def _check_blocks(self) -> None:
        column_seconds = self.patch_samples / self.sampling_rate_hz
        if self.attention_block_seconds < column_seconds:
            raise ConfigError(
                f"model.attention_block_seconds={self.attention_block_seconds:g} is shorter than a "
                f"column of {column_seconds:g} s; lengthen it, or set 0 to attend to everything."
            )
        if "joint" in (self.encoder_attention, self.decoder_attention):
            raise ConfigError(
                f"model.attention_block_seconds={self.attention_block_seconds:g} cuts the sequence "
                "of each channel; set model.encoder_attention and model.decoder_attention to "
                "'factorized', or it to 0."
            )

    def _check_patches(self) -> None:
        if self.patch_samples < 1 or self.num_samples % self.patch_samples:
            below = max(1, self.num_samples // max(1, self.patch_samples)) * self.patch_samples
            raise ConfigError(
                f"a window of {self.num_samples} samples is not a whole number of columns of "
                f"model.patch_samples={self.patch_samples}; set window_seconds to "
                f"{below / self.sampling_rate_hz:g} or choose another model.patch_samples."
            )
        if self.patch_scales < 1 or self.wavelet.num_scales % self.patch_scales:
            raise ConfigError(
                f"model.wavelet.num_scales={self.wavelet.num_scales} is not a multiple of "
                f"model.patch_scales={self.patch_scales}; change one of them."
            )

    def _check_width(self, width_name: str, width: int, heads_name: str, heads: int) -> None:
        if heads < 1 or width % heads or width // heads % 2:
            raise ConfigError(
                f"{width_name}={width} is not divisible by {heads_name}={heads} into heads of an "
                f"even size (rotary positions turn pairs); change one of them."
            )
        if self.attention_implementation != "xla" and width // heads % 8:
            raise ConfigError(
                f"{width_name}={width} over {heads_name}={heads} gives heads of {width // heads}; "
                "cuDNN attention needs a multiple of 8. Change one of them or set "
                "model.attention_implementation to 'xla'."
            )

    @property
    def num_columns(self) -> int:
        """W, time columns of a window."""
        return self.num_samples // self.patch_samples

    @property
    def num_time_blocks(self) -> int:
        """Blocks that attention within a channel cuts a window into; 1 for none."""
        if not self.attention_block_seconds:
            return 1
        seconds = self.num_samples / self.sampling_rate_hz
        return max(1, round(seconds / self.attention_block_seconds))

    @property
    def wavelet_method(self) -> Method:
        """How the scalogram is computed, see ``signals.wavelet``."""
        return "products" if self.attention_implementation == "fused" else "fft"

    @property
    def compiler_options(self) -> dict[str, bool]:
        """What XLA is told where the model is 'fused': to leave products to cuBLASLt.

        That adds biases, residual sums and the GELU while a product's result is still in registers.
        XLA's own kernels, which it otherwise tries beside, keep it from joining them.
        """
        if self.attention_implementation != "fused":
            return {}
        return {"xla_gpu_enable_cublaslt": True, "xla_gpu_enable_triton_gemm": False}

    @property
    def num_rows(self) -> int:
        """H, frequency rows of a column."""
        return self.wavelet.num_scales // self.patch_scales

    @property
    def num_tokens(self) -> int:
        """N = H · W, tokens of a channel."""
        return self.num_rows * self.num_columns

    @property
    def patch_size(self) -> int:
        """C · pf · pt, numbers in a scalogram patch."""
        return self.wavelet.num_planes * self.patch_scales * self.patch_samples

    @property
    def dtype(self) -> jnp.dtype:
        """The compute type."""
        return jnp.dtype(self.compute_dtype)

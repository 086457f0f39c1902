"""Shape and numerics of a masked autoencoder, validated before compilation."""

import dataclasses
import difflib

import jax.numpy as jnp

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.models.block_config import AttentionImplementation, BlockConfig
from physio_mae_jax.models.mixers import MIXERS
from physio_mae_jax.setting_ranges import check_fields
from physio_mae_jax.signals.vocabulary import NUM_FIRST_NAMES, VOCABULARY
from physio_mae_jax.signals.wavelet import Method
from physio_mae_jax.signals.wavelet_bank import WaveletConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaeConfig:
    """Shape and numerics of a masked autoencoder.

    Attributes:
        sampling_rate_hz: Sampling rate of the input signals, in Hz.
        num_samples: Window length L in samples.
        wavelet: Wavelet bank of the scalogram.
        patch_samples: Samples per column (pt).
        patch_scales: Scales per frequency row (pf).
        width, depth, num_heads: Size of the encoder.
        decoder_width, decoder_depth, decoder_num_heads: Size of the decoder.
        encoder_attention, decoder_attention: 'factorized' (time, then channels) or 'joint' (all
            tokens of all channels in one sequence).
        time_mixer: What mixes the tokens of a sequence, in the encoder and the decoder: a name of
            ``models.mixers.MIXERS``.
        attention_every: With another time mixer than attention, every n-th layer has attention
            instead, counted from 1; 0 for none. A stack of fewer layers has none.
        state_size: Features of the state of a 'state_space' mixer.
        lookahead_seconds: Length of blocks at whose ends the backward direction of the encoder
            starts anew: a column reads all earlier ones, but later ones of its own block only. 0
            for no blocks. State-space layers only.
        attention_block_seconds: 0 for full attention within a channel; else the approximate length
            of blocks whose tokens attend to their own block and the two adjacent ones, so that time
            and memory grow linearly with the window. Factorized attention only.
        channel_attention: False disables attention across channels.
        channel_smoothing: False disables the smoothing in time before it.
        mlp_rank_ratio, attention_rank_ratio: Rank of the encoder's linear layers as a share of the
            smaller side (models.md#low-rank-layers); 0 for full matrices.
        class_token: Prepend one learned token to a joint sequence.
        decoder_class_position: Whether the decoder adds a position to that token. The original v1
            never does, v2 always; 'one_channel' does for single-channel inputs, which is correct
            for weights of either, since v2 is single-channel and v1 is made for several channels.
        rotary_positions: Rotary position of a token: its 'column' (time) or, as in the original
            v1 and v2, its 'token' index, row after row.
        waveform_branch: Add raw samples to the wavelet tokens.
        convolutional_stem: 'normalized' puts two 3 × 3 convolutions, each with a group
            normalization, before the patches; 'folded' has the convolutions only, for weights of
            the original, whose trained batch normalization is folded into them; or 'none'.
        waveform_head_norm: Normalize within the head that predicts samples.
        channel_embedding: Add a learned embedding of each channel's name to the encoder tokens.
        decoder_channel_embedding: Add one to the decoder tokens too, for masks of whole channels.
        latent_head: Also predict latents of the encoder, for ``objective.latent_weight``.
        drop_path_rate: Probability with which a residual branch of the encoder is dropped for an
            example, in fine-tuning only (Huang et al. 2016).
        num_channel_names: Number of names of ``signals.vocabulary`` with an embedding; the others
            are "unknown" to the model, as they were at training time.
        attention_implementation: 'xla'; on an NVIDIA GPU in bfloat16 also 'cudnn' for attention
            over time, and 'fused', which adds ``models.kernels`` (channel attention, rotary
            positions, residual sums and norms, smoothing, GELU) and wavelets by matmuls.
        remat: What the backward pass rematerializes: 'none', 'elementwise' (cheap but large
            activations: the GELU, a norm) or 'full'.
        unroll_layers: Unroll the layers instead of scanning over them: faster, since ``scan``
            copies the residuals of all layers, but longer to compile.
        compute_dtype: 'float32' or 'bfloat16'; parameters are always float32.
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
    time_mixer: str = "attention"
    attention_every: int = 0
    state_size: int = 64
    lookahead_seconds: float = 0.0
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
    decoder_channel_embedding: bool = False
    latent_head: bool = False
    drop_path_rate: float = 0.0
    num_channel_names: int = NUM_FIRST_NAMES
    attention_implementation: AttentionImplementation = "xla"
    remat: str = "none"
    unroll_layers: bool = False
    compute_dtype: str = "float32"

    def __post_init__(self) -> None:
        check_fields(self, "model")
        if not isinstance(self.wavelet, WaveletConfig):
            raise ConfigError("model.wavelet is missing; set it to a WaveletConfig.")
        self._check_patches()
        self._check_width("model.width", self.width, "model.num_heads", self.num_heads)
        self._check_width(
            "model.decoder_width",
            self.decoder_width,
            "model.decoder_num_heads",
            self.decoder_num_heads,
        )
        self._check_mixer()
        self._check_variant()
        if not 1 <= self.num_channel_names <= len(VOCABULARY):
            raise ConfigError(
                f"model.num_channel_names must be 1 to {len(VOCABULARY)} in this version; "
                f"got {self.num_channel_names}. A model with more is of a newer version."
            )
        if self.attention_implementation != "xla" and self.compute_dtype != "bfloat16":
            raise ConfigError(
                f"model.attention_implementation={self.attention_implementation!r} requires "
                f"model.compute_dtype='bfloat16'; got {self.compute_dtype!r}. Change it, or set "
                "model.attention_implementation to 'xla'."
            )

    def for_inference(self) -> "MaeConfig":
        """Return the same model without settings that only affect the backward pass."""
        return dataclasses.replace(self, remat="none", unroll_layers=False)

    def for_platform(self, platform: str) -> "MaeConfig":
        """Return the same model with operations available on a JAX platform ('cpu', 'gpu', 'tpu').

        A model trained with fused attention can thus be used, or trained further, without it: the
        parameters are the same, the results agree up to rounding.
        """
        if platform == "gpu" or self.attention_implementation == "xla":
            return self
        return dataclasses.replace(self, attention_implementation="xla", unroll_layers=False)

    def _check_mixer(self) -> None:
        if self.time_mixer not in MIXERS:
            near = difflib.get_close_matches(self.time_mixer, MIXERS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ConfigError(
                f"model.time_mixer is {self.time_mixer!r}; choose one of {', '.join(MIXERS)}.{hint}"
            )
        is_joint = "joint" in (self.encoder_attention, self.decoder_attention)
        if is_joint and not MIXERS[self.time_mixer].supports_joint:
            able = [name for name, mixer in MIXERS.items() if mixer.supports_joint]
            raise ConfigError(
                f"model.time_mixer={self.time_mixer!r} mixes one channel at a time; set "
                "model.encoder_attention and model.decoder_attention to 'factorized', or "
                f"model.time_mixer to one of {', '.join(able)}."
            )
        if self.attention_every and (self.attention_every == 1 or self.time_mixer == "attention"):
            raise ConfigError(
                f"model.attention_every={self.attention_every} with model.time_mixer="
                f"{self.time_mixer!r} is attention in every layer; set model.attention_every to 0 "
                "with model.time_mixer='attention', or to 2 or more with another mixer."
            )
        if self.time_mixer == "state_space" and self.state_size % 2:
            raise ConfigError(
                f"model.state_size={self.state_size} must be even, since pairs of features rotate; "
                f"set it to {self.state_size + 1}."
            )

    def _check_variant(self) -> None:
        if self.class_token and "factorized" in (self.encoder_attention, self.decoder_attention):
            raise ConfigError(
                "model.class_token=True needs one sequence of all channels; set "
                "model.encoder_attention and model.decoder_attention to 'joint', or "
                "model.class_token to False."
            )
        if self.attention_block_seconds:
            self._check_blocks()
        if self.lookahead_seconds:
            self._check_lookahead()
        if self.convolutional_stem != "none" and self.width % 4:
            raise ConfigError(
                f"model.width must be divisible by 4 with model.convolutional_stem="
                f"{self.convolutional_stem!r}; got {self.width}. Change one of them."
            )

    def _check_blocks(self) -> None:
        column_seconds = self.patch_samples / self.sampling_rate_hz
        if self.attention_block_seconds < column_seconds:
            raise ConfigError(
                f"model.attention_block_seconds={self.attention_block_seconds:g} is shorter than a "
                f"column of {column_seconds:g} s; lengthen it, or set 0 for full attention."
            )
        if "joint" in (self.encoder_attention, self.decoder_attention):
            raise ConfigError(
                f"model.attention_block_seconds={self.attention_block_seconds:g} needs factorized "
                "attention; set model.encoder_attention and model.decoder_attention to "
                "'factorized', or model.attention_block_seconds to 0."
            )

    def _check_lookahead(self) -> None:
        columns = self.lookahead_seconds * self.sampling_rate_hz / self.patch_samples
        if columns < 1 or abs(columns - round(columns)) > 1e-6:
            nearest = max(1, round(columns)) * self.patch_samples / self.sampling_rate_hz
            raise ConfigError(
                f"model.lookahead_seconds={self.lookahead_seconds:g} is not a whole number of time "
                f"columns of {self.patch_samples / self.sampling_rate_hz:g} s; set it to "
                f"{nearest:g}, or to 0 for no limit."
            )
        if self.time_mixer != "state_space" or self.attention_every:
            raise ConfigError(
                f"model.lookahead_seconds={self.lookahead_seconds:g} needs state-space layers "
                f"only; set model.time_mixer to 'state_space' (it is {self.time_mixer!r}) and "
                f"model.attention_every to 0 (it is {self.attention_every}), or "
                "model.lookahead_seconds to 0."
            )
        if self.attention_implementation == "fused":
            raise ConfigError(
                f"model.lookahead_seconds={self.lookahead_seconds:g} is not available with "
                "model.attention_implementation='fused', whose kernels smooth across blocks; set "
                "it to 'cudnn' or 'xla'."
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
                f"even size (rotary positions rotate pairs); change one of them."
            )
        if self.attention_implementation != "xla" and width // heads % 8:
            raise ConfigError(
                f"{width_name}={width} over {heads_name}={heads} gives heads of {width // heads}; "
                "cuDNN attention needs a multiple of 8. Change one of them or set "
                "model.attention_implementation to 'xla'."
            )

    @property
    def decoder_blocks(self) -> BlockConfig:
        """Settings of the decoder's blocks: full matrices, always across channels."""
        return BlockConfig(
            num_heads=self.decoder_num_heads,
            dtype=self.dtype,
            time_mixer=self.time_mixer,
            attention_implementation=self.attention_implementation,
            num_time_blocks=self.num_time_blocks,
            attention_every=self.attention_every,
            state_size=self.state_size,
        )

    @property
    def encoder_blocks(self) -> BlockConfig:
        """Settings of the encoder's blocks."""
        return self.decoder_blocks._replace(
            num_heads=self.num_heads,
            mlp_rank_ratio=self.mlp_rank_ratio,
            attention_rank_ratio=self.attention_rank_ratio,
            channel_attention=self.channel_attention,
            channel_smoothing=self.channel_smoothing,
            drop_path_rate=self.drop_path_rate,
            lookahead_columns=self.lookahead_columns,
        )

    @property
    def num_columns(self) -> int:
        """W, number of time columns of a window."""
        return self.num_samples // self.patch_samples

    @property
    def lookahead_columns(self) -> int:
        """Columns of a block of ``lookahead_seconds``; 0 for no blocks."""
        return round(self.lookahead_seconds * self.sampling_rate_hz / self.patch_samples)

    @property
    def num_time_blocks(self) -> int:
        """Number of blocks of local attention within a channel; 1 for full attention."""
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
        """XLA options of a 'fused' model: leave matmuls to cuBLASLt.

        Its epilogues add biases, residual sums and the GELU while the result is still in registers.
        XLA's own matmul kernels, which autotuning otherwise tries too, prevent that fusion.
        """
        if self.attention_implementation != "fused":
            return {}
        return {"xla_gpu_enable_cublaslt": True, "xla_gpu_enable_triton_gemm": False}

    @property
    def num_rows(self) -> int:
        """H, number of frequency rows of a column."""
        return self.wavelet.num_scales // self.patch_scales

    @property
    def num_tokens(self) -> int:
        """N = H · W, number of tokens of a channel."""
        return self.num_rows * self.num_columns

    @property
    def patch_size(self) -> int:
        """C · pf · pt, number of values in a scalogram patch."""
        return self.wavelet.num_planes * self.patch_scales * self.patch_samples

    @property
    def dtype(self) -> jnp.dtype:
        """The compute type."""
        return jnp.dtype(self.compute_dtype)

"""Shape and numerics of a masked autoencoder, checked before anything is compiled."""

import dataclasses

import jax.numpy as jnp

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.signals.wavelet import WaveletConfig

_CHOICES = {
    "decoder_attention": ("factorized", "joint"),
    "attention_implementation": ("xla", "cudnn"),
    "remat": ("none", "matmuls", "full"),
    "compute_dtype": ("float32", "bfloat16"),
}


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
        decoder_attention: 'factorized' (time, then channels) or 'joint' (all tokens at once).
        channel_identity: add a learned vector for the name of each channel.
        attention_implementation: of attention over time, 'xla' or 'cudnn' (bfloat16 on a GPU).
        remat: what the backward pass recomputes: 'none', 'matmuls' (all but them) or 'full'.
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
    decoder_attention: str = "factorized"
    channel_identity: bool = True
    attention_implementation: str = "xla"
    remat: str = "none"
    compute_dtype: str = "float32"

    def __post_init__(self) -> None:
        self._check_patches()
        self._check_width("model.width", self.width, "model.num_heads", self.num_heads)
        self._check_width(
            "model.decoder_width",
            self.decoder_width,
            "model.decoder_num_heads",
            self.decoder_num_heads,
        )
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigError(
                    f"model.{name} is {getattr(self, name)!r}; choose one of {', '.join(choices)}."
                )
        if self.attention_implementation == "cudnn" and self.compute_dtype != "bfloat16":
            raise ConfigError(
                "model.attention_implementation is 'cudnn', which computes in bfloat16 only; set "
                "model.compute_dtype to 'bfloat16' or model.attention_implementation to 'xla'."
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
        if self.attention_implementation == "cudnn" and width // heads % 8:
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
    def num_rows(self) -> int:
        """H, frequency rows of a column."""
        return self.wavelet.num_scales // self.patch_scales

    @property
    def patch_size(self) -> int:
        """C · pf · pt, numbers in a scalogram patch."""
        return self.wavelet.num_planes * self.patch_scales * self.patch_samples

    @property
    def dtype(self) -> jnp.dtype:
        """The compute type."""
        return jnp.dtype(self.compute_dtype)

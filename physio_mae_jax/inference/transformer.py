"""An encoder as a scikit-learn transformer, for pipelines, clustering and grid search."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.inference.encoder import Encoder


class EncoderTransformer(TransformerMixin, BaseEstimator):
    """Turns signals into embeddings; nothing is fitted.

    Args:
        encoder: an ``Encoder``, the work folder of a run, or a folder of ``save_pretrained``.
            With a folder it can also be sent to other processes (``n_jobs``).
        sampling_rate_hz, channels, units, gain: of the signals, as ``Encoder.encode_with_report``.
        output: 'pooled', or 'channels' for the embeddings of all channels side by side.
        overlap, derive_leads, unknown_channels, on_invalid: as ``Encoder.encode_with_report``.
    """

    def __init__(
        self,
        encoder: Any = None,
        *,
        sampling_rate_hz: float | None = None,
        channels: Any = None,
        units: Any = "",
        gain: Any = None,
        output: str = "pooled",
        overlap: float = 0.5,
        derive_leads: bool = False,
        unknown_channels: str = "error",
        on_invalid: str = "error",
    ) -> None:
        self.encoder = encoder
        self.sampling_rate_hz = sampling_rate_hz
        self.channels = channels
        self.units = units
        self.gain = gain
        self.output = output
        self.overlap = overlap
        self.derive_leads = derive_leads
        self.unknown_channels = unknown_channels
        self.on_invalid = on_invalid

    def fit(self, signals: Any, targets: Any = None) -> "EncoderTransformer":
        """Load the encoder.

        Args:
            signals: not looked at.
            targets: not looked at.

        Raises:
            UserError: there is no such encoder, or ``output`` is not one row a recording.
        """
        del signals, targets
        if self.output not in ("pooled", "channels"):
            raise ConfigError(f"output is {self.output!r}; choose pooled or channels.")
        self.encoder_ = opened(self.encoder)
        return self

    def transform(self, signals: Any) -> np.ndarray:
        """Embed signals: [N, M, n], or a list of N [M, n] or frames; returns [N, D or M · D]."""
        check_is_fitted(self, "encoder_")
        names = [name for name in self.get_params(deep=False) if name != "encoder"]
        settings = {name: getattr(self, name) for name in names}
        embeddings = self.encoder_.encode(signals, **settings)
        return np.stack([np.ravel(row) for row in embeddings])


def opened(encoder: Any) -> Encoder:
    """Return an encoder that is given, or load it from a folder once."""
    if isinstance(encoder, Encoder):
        return encoder
    if not isinstance(encoder, str | Path):
        raise ConfigError(
            f"encoder is {encoder!r}; give an Encoder, the work folder of a run, or a folder of "
            "save_pretrained."
        )
    return _load(str(encoder))


@functools.lru_cache(maxsize=4)
def _load(folder: str) -> Encoder:
    saved = (Path(folder).expanduser() / "model.safetensors").is_file()
    return Encoder.from_pretrained(folder) if saved else Encoder.from_checkpoint(folder)

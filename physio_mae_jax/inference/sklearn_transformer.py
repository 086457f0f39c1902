"""An encoder as a scikit-learn transformer, for pipelines, clustering and grid search."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from physio_mae_jax.data.frames import Frame, column_names, is_series
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference.arguments import holds_names, listed, texts
from physio_mae_jax.inference.encoder import Encoder
from physio_mae_jax.inference.saved_model import is_saved_model

if TYPE_CHECKING:
    from sklearn.utils import Tags


class EncoderTransformer(TransformerMixin, BaseEstimator):
    """Encodes signals as embeddings; nothing is fitted.

    It can be cloned, pickled and sent to other processes (``n_jobs``), fitted or not, see
    ``Encoder``. An encoder constructed from a folder is loaded again from there.

    Args:
        encoder: ``Encoder``, work folder of a run, or folder of ``save_pretrained``.
        sampling_rate_hz, channels, units, gain: As for ``Encoder.encode_with_report``.
        output: 'pooled', or 'channels' for the concatenated embeddings of all channels.
        overlap, derive_leads, unknown_channels, on_invalid: As for ``Encoder.encode_with_report``.
    """

    def __init__(
        self,
        encoder: object = None,
        *,
        sampling_rate_hz: float | None = None,
        channels: object = None,
        units: object = "",
        gain: object = None,
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

    def fit(self, signals: object = None, targets: object = None) -> "EncoderTransformer":
        """Load the encoder.

        Args:
            signals: Used only for the column names of data frames, if no channels are named.
            targets: Ignored.

        Raises:
            UserError: There is no such encoder, or ``output`` is not one row per recording.
        """
        del targets
        if self.output not in ("pooled", "channels"):
            raise ConfigError(f"output must be pooled or channels; got {self.output!r}.")
        self.encoder_ = opened(self.encoder)
        self._fitted_channels = self._channels_of(signals)
        if self._fitted_channels is not None:
            self.n_features_in_ = len(self._fitted_channels)
        return self

    def transform(self, signals: object) -> np.ndarray:
        """Embed signals: [B, M, n], or a list of B [M, n] or frames; returns [B, D or M · D].

        Raises:
            UserError: As for ``Encoder.encode_with_report``, or the recordings differ in their
                number of channels, so that concatenated embeddings differ in length.
        """
        check_is_fitted(self, "encoder_")
        if self._makes_frames and (isinstance(signals, Frame) or is_series(signals)):
            raise DataError(
                "one frame is one recording, so its index cannot be that of the embeddings; give a "
                "list, [frame], or set_output(transform='default')."
            )
        names = [name for name in self.get_params(deep=False) if name != "encoder"]
        settings = {name: getattr(self, name) for name in names}
        embeddings = self.encoder_.encode(signals, **settings)
        if not len(embeddings):
            return np.asarray(embeddings)
        rows = [np.ravel(row) for row in embeddings]
        if len({len(row) for row in rows}) > 1:
            raise DataError(
                "recordings have different numbers of channels, whose embeddings side by side make "
                "no table; choose output='pooled', or give the same channels of each."
            )
        return np.stack(rows)

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Return the column names: 'embedding0', …, prefixed by 'II_' etc. for each channel.

        Args:
            input_features: Ignored.

        Raises:
            DataError: With output='channels', the channels are unknown before fitting.
        """
        del input_features
        check_is_fitted(self, "encoder_")
        width = self.encoder_.programs.config.width
        columns = [f"embedding{number}" for number in range(width)]
        if self.output == "pooled":
            return np.asarray(columns, object)
        if self._fitted_channels is None:
            raise DataError(
                "the columns of output='channels' have the names of channels; give channels= to "
                "the transformer, or fit it on frames."
            )
        rows = self.encoder_.rows_of(self._fitted_channels, derive_leads=self.derive_leads)
        return np.asarray([f"{row}_{column}" for row in rows for column in columns], object)

    def __sklearn_tags__(self) -> "Tags":
        """Return the input tags for scikit-learn."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.on_invalid == "skip"
        tags.no_validation = True
        return tags

    @property
    def _makes_frames(self) -> bool:
        own = getattr(self, "_sklearn_output_config", {}).get("transform")
        return (own or get_config()["transform_output"]) != "default"

    def _channels_of(self, signals: object) -> tuple[str, ...] | None:
        """Return the channel names of the first recording; None if unknown."""
        if self.channels is not None:
            one = self.channels if holds_names(self.channels) else None
            one = listed(self.channels, "channels")[0] if one is None else one
            return texts(one, "channels", "name each row of a signal")
        first = signals[0] if isinstance(signals, list | tuple) and signals else signals
        return tuple(column_names(first, "the signal")) if isinstance(first, Frame) else None


def opened(encoder: object) -> Encoder:
    """Return the given encoder, or load it from a folder once."""
    if isinstance(encoder, Encoder):
        return encoder
    if not isinstance(encoder, str | Path):
        raise ConfigError(
            f"encoder is {encoder!r}; give an Encoder, the work folder of a run, a folder of "
            "save_pretrained, or a name of Encoder.available()."
        )
    return _load(str(encoder.absolute()) if isinstance(encoder, Path) else encoder)


@functools.lru_cache(maxsize=4)
def _load(folder: str) -> Encoder:
    saved = is_saved_model(folder)
    return Encoder.from_pretrained(folder) if saved else Encoder.from_checkpoint(folder)

"""The section ``model`` of a config: a model without its input window."""

import dataclasses

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment.typed_config import as_section, check_names, to_dataclass
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.setting_ranges import check_settings
from physio_mae_jax.signals.vocabulary import VOCABULARY
from physio_mae_jax.signals.wavelet_bank import WaveletConfig
from physio_mae_jax.types import Settings

_WINDOW_FIELDS = ("sampling_rate_hz", "num_samples", "num_channel_names")


@dataclasses.dataclass(frozen=True)
class ModelSection:
    """Settings of a model, complete except for its window.

    Attributes:
        values: Fields of ``MaeConfig`` without those of the window.
    """

    values: Settings

    @classmethod
    def from_section(cls, section: str, values: Settings) -> "ModelSection":
        """Check the names of a section; raises a ConfigError on unknown and missing ones."""
        fields = [field.name for field in dataclasses.fields(MaeConfig)]
        check_names(section, values, [name for name in fields if name not in _WINDOW_FIELDS])
        if "wavelet" not in values:
            raise ConfigError(f"{section}.wavelet is missing; it must be a section of settings.")
        wavelet = as_section(f"{section}.wavelet", values["wavelet"])
        check_names(
            f"{section}.wavelet", wavelet, [f.name for f in dataclasses.fields(WaveletConfig)]
        )
        return cls(dict(values))

    @property
    def wavelet(self) -> WaveletConfig:
        """The wavelet bank, which does not depend on the window."""
        return to_dataclass(WaveletConfig, "model.wavelet", self.values["wavelet"])

    def for_window(
        self,
        window_seconds: float,
        sampling_rate_hz: float,
        num_channel_names: int = len(VOCABULARY),
    ) -> MaeConfig:
        """Return the model configuration for a window length (s) and a sampling rate (Hz).

        Raises:
            ConfigError: A setting is invalid, or contradicts another one or the window.
        """
        values = {
            **self.values,
            "sampling_rate_hz": float(sampling_rate_hz),
            "num_samples": count_window_samples(window_seconds, sampling_rate_hz),
            "num_channel_names": num_channel_names,
        }
        return to_dataclass(MaeConfig, "model", values)


def count_window_samples(window_seconds: float, sampling_rate_hz: float) -> int:
    """Return the number of samples of a window.

    Raises:
        ConfigError: It is not an integer.
    """
    check_settings({"window_seconds": window_seconds, "sampling_rate_hz": sampling_rate_hz})
    num_samples = window_seconds * sampling_rate_hz
    if abs(num_samples - round(num_samples)) > 1e-6:
        raise ConfigError(
            f"window_seconds={window_seconds} at sampling_rate_hz={sampling_rate_hz} is "
            f"{num_samples:g} samples, not an integer; change one of them."
        )
    return round(num_samples)

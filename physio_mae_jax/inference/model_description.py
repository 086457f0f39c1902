"""What a model accepts, does and returns, as text."""

from physio_mae_jax.data.window_transform import NORMALIZATION
from physio_mae_jax.inference.trained_model import TrainedModel
from physio_mae_jax.models.config import MaeConfig


def describe(trained: TrainedModel, config: MaeConfig) -> str:
    """Format the model_spec of an encoder."""
    given = trained.model_spec.input
    units = ", ".join(f"{name} in {unit}" for name, unit in given.units.items()) or "any"
    seen = (
        "one channel at a time"
        if trained.model_spec.channel_independent
        else (f"up to {given.num_channels} channels together")
    )
    filters = "; ".join(f"{name}: {what}" for name, what in given.filters.items())
    band = f"{given.band_hz[0]:g} to {given.band_hz[1]:g} Hz" if given.band_hz else "none"
    subjects = f"{len(trained.trained_on.subjects)} subjects"
    if not trained.trained_on.is_complete:
        subjects += " and more that are not known"
    lines = {
        "from": trained.origin,
        "channels": f"{', '.join(given.channels)}; {seen}",
        "units": units,
        "rate": f"{given.sampling_rate_hz:g} Hz; others are resampled",
        "window": f"{given.num_samples / given.sampling_rate_hz:g} s, {config.num_columns} columns "
        f"of {config.patch_samples / given.sampling_rate_hz:g} s",
        "band-pass": band,
        "normalized": NORMALIZATION
        if given.normalization == NORMALIZATION
        else given.normalization,
        "trained on": f"{subjects}; filtered before: {filters}",
        "embedding": f"{config.width} numbers, or of each of {config.num_rows} bands of "
        "frequency in each column of each channel",
    }
    return "\n".join(f"{name:<11}{text}" for name, text in lines.items())

"""Windows and labeled instances of prepared data."""

from physio_mae_jax.data.instances import LabelConfig, collect_instances
from physio_mae_jax.data.window_transform import WindowConfig
from physio_mae_jax.data.windows import WindowReader


def get_reader(source, seconds=3.0, rate=50.0):
    window = WindowConfig(
        channels="II,PPG",
        num_channels=2,
        sampling_rate_hz=rate,
        num_samples=round(seconds * rate),
    )
    return WindowReader(source, window)


def instances_of(source, task, seconds=3.0, **settings):
    indices = range(len(source.recordings))
    return collect_instances(
        source, get_reader(source, seconds), indices, LabelConfig(task=task, **settings)
    )

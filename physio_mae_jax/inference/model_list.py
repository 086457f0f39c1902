"""The shipped models as a table: size, input and license of each, from their descriptions."""

from typing import NamedTuple

from physio_mae_jax.inference.saved_model import WEIGHTS, read_description
from physio_mae_jax.inference.shipped_models import SHIPPED, shipped_names
from physio_mae_jax.training.model_spec import ModelSpec

_COLUMNS = ("name", "parameters", "file", "embedding", "window", "license", "channels")


class ShippedModel(NamedTuple):
    """A model of the package.

    Attributes:
        name: Name for ``Encoder.from_pretrained`` and ``init_from``.
        num_parameters: Number of parameters, those of the decoder included.
        file_bytes: Size of the weights on disk.
        width: Width D of an embedding.
        channels: Channels that it knows.
        sampling_rate_hz, window_seconds: Rate in Hz and length in seconds of a window.
        license: License of the weights.
    """

    name: str
    num_parameters: int
    file_bytes: int
    width: int
    channels: tuple[str, ...]
    sampling_rate_hz: float
    window_seconds: float
    license: str


class ShippedModels(tuple[ShippedModel, ...]):
    """The shipped models; printed as a table."""

    def __str__(self) -> str:
        if not self:
            return "no models ship with this copy of the package"
        rows = [_COLUMNS, *map(_cells, self)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )


def list_models() -> ShippedModels:
    """Read the descriptions of all shipped models, the smallest first.

    Raises:
        DataError: A description is damaged.
    """
    return ShippedModels(map(_read, shipped_names()))


def _read(name: str) -> ShippedModel:
    folder = SHIPPED / name
    description = read_description(folder)
    spec = ModelSpec.from_json(description.model_spec, str(folder))
    return ShippedModel(
        name=name,
        num_parameters=description.num_parameters,
        file_bytes=(folder / WEIGHTS).stat().st_size,
        width=spec.model.width,
        channels=spec.input.channels,
        sampling_rate_hz=spec.input.sampling_rate_hz,
        window_seconds=spec.input.num_samples / spec.input.sampling_rate_hz,
        license=description.license,
    )


def _cells(model: ShippedModel) -> tuple[str, ...]:
    return (
        model.name,
        f"{model.num_parameters / 1e6:.2f} M",
        f"{model.file_bytes / 1e6:.1f} MB",
        str(model.width),
        f"{model.window_seconds:g} s at {model.sampling_rate_hz:g} Hz",
        model.license or "not said",
        ", ".join(model.channels),
    )

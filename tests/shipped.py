"""Models that tests put in place of the shipped ones, or beside them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from physio_mae_jax.inference import model_list, shipped_models
from physio_mae_jax.inference.model_card import Card
from physio_mae_jax.inference.saved_model import save_model
from physio_mae_jax.inference.trained_model import TrainedModel
from tests.encoders import untrained


@contextmanager
def shipped_from(folder: Path) -> Iterator[Path]:
    """Take another folder for that of the shipped models."""
    with (
        mock.patch.object(shipped_models, "SHIPPED", folder),
        mock.patch.object(model_list, "SHIPPED", folder),
    ):
        yield folder


def write_shipped(folder: Path, name: str, model: TrainedModel | None = None, **card: Any) -> Path:
    """Write an untrained model, or a given one, as a shipped one with float16 weights."""
    texts = Card(name=name, license="CC-BY-4.0", **card)
    return save_model(model or untrained(), folder / name, texts, dtype="float16")

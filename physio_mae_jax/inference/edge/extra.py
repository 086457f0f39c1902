"""Import of the optional libraries."""

import importlib
from types import ModuleType

from physio_mae_jax.errors import UserError


def optional(name: str) -> ModuleType:
    """Import a library of the extra ``edge``, such as 'onnxruntime'.

    Raises:
        UserError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"models for devices need {name.partition('.')[0]}, which is not installed. Install it "
            'by pip install "physio_mae_jax[edge]".'
        ) from error

"""Import of the optional libraries."""

import importlib
from types import ModuleType

from physio_mae_jax.errors import UserError

EDGE, LITERT = "edge", "litert"


def optional(name: str, extra: str = EDGE) -> ModuleType:
    """Import a library of an extra, such as 'onnxruntime'.

    Args:
        name: Name of the module.
        extra: Name of the extra, 'edge' or 'litert'.

    Raises:
        UserError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"models for devices need {name.partition('.')[0]}, which is not installed. Install it "
            f'by pip install "physio_mae_jax[{extra}]".'
        ) from error

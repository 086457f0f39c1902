"""Models that ship inside the package, each loaded by its name, without a network.

A name such as 'physio-small' is that of a folder in ``physio_mae_jax/pretrained``, which
``physio_mae_jax.release`` wrote. It means the shipped model in any working directory; a folder of
that name is given as a path, './physio-small'.
"""

import difflib
import logging
import os
from pathlib import Path

from physio_mae_jax.data.regular_file import shorten_path
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.local_paths import local_path

_LOG = logging.getLogger(__name__)
SHIPPED = Path(__file__).parents[1] / "pretrained"
PREFIX = "physio-"


def shipped_names() -> tuple[str, ...]:
    """Return the names of all shipped models, from the smallest file to the largest."""
    folders = [path.parent for path in SHIPPED.glob(f"{PREFIX}*/model.safetensors")]
    sizes = {path.name: (path / "model.safetensors").stat().st_size for path in folders}
    return tuple(sorted(sizes, key=lambda name: (sizes[name], name)))


def is_shipped(name: str | Path) -> bool:
    """Return whether a value names a shipped model; a ``Path`` never does."""
    return isinstance(name, str) and name in shipped_names()


def find_model(name: str | Path, setting: str) -> Path:
    """Return the folder of a model: that of a shipped one for its name, else the path given.

    Args:
        name: Name of a shipped model, or path of a folder, which need not exist.
        setting: Name of the setting that gives it, for errors.

    Raises:
        ConfigError: The value is no path, or a name like that of a shipped model that is neither
            shipped nor a folder.
    """
    folder = local_path(name, setting)
    if is_shipped(name):
        if os.path.lexists(folder):
            _LOG.warning(
                "%s is the model of the package; write ./%s to use the folder %s",
                *(name, name, shorten_path(folder)),
            )
        return SHIPPED / str(name)
    if _looks_shipped(name) and not os.path.lexists(folder):
        raise _unknown(str(name))
    return folder


def _looks_shipped(name: str | Path) -> bool:
    return isinstance(name, str) and name.startswith(PREFIX) and os.path.basename(name) == name


def _unknown(name: str) -> ConfigError:
    names = shipped_names()
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.0)
    shipped = f"choose {' or '.join(near)}" if near else "this copy of the package has none"
    return ConfigError(
        f"{shorten_path(name)!r} is neither a shipped model ({shipped}; "
        "Encoder.available() lists all) nor a folder. Larger models do not ship: train one with "
        "launch/pretrain.sh, or download one and give its folder; Encoder.from_pretrained also "
        "fetches 'owner/name' from the Hugging Face hub with allow_hub=True."
    )

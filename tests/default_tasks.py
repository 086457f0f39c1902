"""A few training steps of the default task of a data set, as its layout describes it."""

from pathlib import Path
from typing import Any

from configs import finetune
from physio_mae_jax.commands import load_command
from physio_mae_jax.prepare import main as prepare
from tests.runs import read_json


def prepare_and_finetune(name: str, source: Path, folder: Path, **changes: Any) -> dict[str, Any]:
    """Prepare 'name' or 'name/variant' by the command, and fine-tune with ``preset=debug``.

    Returns:
        The evaluation: its title, and the classes and metrics of each split.
    """
    assert prepare([name, f"--source={source}", f"--out={folder / 'data'}", "--workers=1"]) == 0
    config = finetune.get_config(f"preset=debug,data={name.partition('/')[0]}")
    config.data.root, config.num_devices = str(folder / "data"), 1
    config.evaluation.min_positives = 1
    config.update_from_flattened_dict(changes)
    command = load_command(config)
    command.run(command.read(config), folder / "run", strict=False)
    return read_json(folder / "run" / "evaluation.json")

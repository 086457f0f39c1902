"""Packed files as the layouts read them, and short runs on what was prepared from them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from configs import finetune as finetune_config
from physio_mae_jax import atomic_files
from physio_mae_jax.commands.finetune import build_finetuning, finetune
from physio_mae_jax.preparation.builder import make_builder
from physio_mae_jax.preparation.recording import DatasetLayout, Recording, RecordRef
from physio_mae_jax.preparation.registry import get_layout
from tests.runs import read_json, typed


def only(layout: DatasetLayout, source: Path) -> tuple[RecordRef, Recording]:
    """Read the one recording of a folder."""
    (ref,) = layout.find(source)
    return ref, layout.read(source, ref)


def write_packed(folder: Path, name: str, values: np.ndarray, **members: Any) -> None:
    """Write values as FLAC of int16, in order, and the members as the ``.npz`` beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    flat = np.asarray(values, np.int16).reshape(-1)
    soundfile.write(folder / f"{name}.flac", flat, 8000, subtype="PCM_16")
    np.savez(folder / f"{name}.npz", **members)


def prepare(name: str, source: Path, out: Path, on_invalid: str = "error") -> Any:
    """Prepare a data set by its name; return the report."""
    builder = make_builder(get_layout(name))(source=source, data_dir=out, on_invalid=on_invalid)
    return builder.prepare()


def debug_run(
    name: str, root: Path, workdir: Path, task: str = "default", **changes: Any
) -> dict[str, Any]:
    """Fine-tune ``configs/finetune.py:preset=debug`` on a data set; return its evaluation."""
    base = name.partition("/")[0]
    config = finetune_config.get_config(f"preset=debug,data={base},task={task}")
    config.data.root, config.data.sets, config.num_devices = str(root), name, 1
    config.update_from_flattened_dict(changes)
    with pytest.MonkeyPatch.context() as patch:
        # Nobody sees the pictures, which take longer than the steps.
        patch.setattr(atomic_files, "write_figure", lambda path, figure: None)
        finetune(build_finetuning(typed(config), workdir, strict=True))
    return read_json(workdir / "evaluation.json")

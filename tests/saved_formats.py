"""What a version of the program writes, kept in the repository for later versions to read.

    python -m tests.saved_formats

writes ``tests/formats/VERSION``: one archive for each kind of folder, and ``expected.npz``
with what is read from them. A version that is there is never written again.
"""

import os
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from configs import compare, features, loso, pretrain, retrieval
from physio_mae_jax import Encoder
from physio_mae_jax.commands import load_command
from physio_mae_jax.data.format_version import FORMAT_VERSION
from tests.prepared import waves
from tests.runs import evaluation_config, finetuning_config, head_config, pretraining_config

FORMATS = Path(__file__).parent / "formats"
DATA = Path("data")
_ONE_STEP = {
    f"loop.{name}": 1
    for name in ("num_steps", "log_every_steps", "evaluate_every_steps", "checkpoint_every_steps")
}
_SHORT = {**_ONE_STEP, "optimizer.warmup_steps": 0}
_NARROW = {"model.width": 16, "model.decoder_width": 8}
_RATE_HZ = 100.0
# Not kept: pictures, logs of the machine, and the weights of each fold, which nothing reads again.
_EXCLUDED = {"plots", "tensorboard", ".lock", "hosts.jsonl"}
_FOLDS = "leave_one_out"


def run_configs() -> dict[str, ConfigDict]:
    """Return the config of every run by its folder, in the order in which they depend."""
    run, contrastive, head = "pretrain", "contrastive", "finetune"
    return {
        run: _small(pretraining_config(DATA, **_SHORT, **_NARROW)),
        contrastive: _contrastive(),
        head: _small(finetuning_config(DATA, init_from=run, **_SHORT)),
        "evaluate": head_config(Path(head)),
        "probe": evaluation_config(DATA, "probe", init_from=run),
        "features": _features(run),
        "retrieve": _retrieval(contrastive),
        "compare": _comparison(run),
        _FOLDS: _leave_one_out(run),
    }


def _small(config: ConfigDict) -> ConfigDict:
    config.batch_size = 4
    return config


def _contrastive() -> ConfigDict:
    config = pretrain.get_config("variant=contrastive,preset=debug")
    changes = dict(pretraining_config(DATA, **_SHORT).data)
    config.num_devices, config.batch_size = 1, 4
    for name in ("sets", "root", "channels", "split_rule"):
        config.data[name] = changes[name]
    config.update_from_flattened_dict({**_SHORT, **_NARROW})
    return config


def _features(run: str) -> ConfigDict:
    config = features.get_config("format=npz")
    config.init_from, config.num_devices = run, 1
    config.data.sets, config.data.root = "waves", str(DATA)
    return config


def _retrieval(run: str) -> ConfigDict:
    config = retrieval.get_config()
    config.init_from, config.max_windows_per_subject, config.batch_size = run, 2, 4
    return config


def _on_waves(config: ConfigDict) -> ConfigDict:
    config.data.sets, config.data.root, config.data.channels = "waves", str(DATA), "II,PPG"
    config.labels.task, config.evaluation.num_resamples = "wave", 50
    return config


def _comparison(run: str) -> ConfigDict:
    config = _on_waves(compare.get_config("preset=debug"))
    config.init_from, config.models, config.label_fractions, config.seeds = (
        run, "probe,wavelets", "1", "0",
    )  # fmt: skip
    config.data.split_rule = pretraining_config(DATA).data.split_rule
    for name in ("probe", "wavelets"):
        config[name].num_devices = 1
    return config


def _leave_one_out(run: str) -> ConfigDict:
    config = _on_waves(loso.get_config("preset=debug"))
    config.init_from, config.num_devices, config.batch_size = run, 1, 4
    config.subjects, config.validation_share = "p0,p1", 0.3
    # Every subject has both states, so that any draw of subjects can be learned from.
    config.labels.task, config.labels.window_seconds = "state", 3.0
    config.update_from_flattened_dict(_SHORT)
    return config


def execute(config: ConfigDict, folder: Path) -> None:
    """Run the command of a config as the command line does."""
    command = load_command(config)
    command.run(command.read(config), folder, strict=False)


def example_signal() -> np.ndarray:
    """Return [M, n], 12 s of the two channels that the encoder knows."""
    time = np.arange(1200) / _RATE_HZ
    return np.stack([np.sin(2 * np.pi * time), np.cos(2 * np.pi * 4 * time)]).astype(np.float32)


def embedding(encoder: Encoder) -> np.ndarray:
    """Return the embedding [D] of the example."""
    return np.asarray(
        encoder.encode(
            example_signal(),
            sampling_rate_hz=_RATE_HZ,
            channels=["II", "PPG"],
            units=["mV", ""],
        )
    )


def write_all() -> dict[str, Any]:
    """Write every kind of folder to the current one; return what is to be read from them."""
    waves(DATA, subjects=8, seconds=10)
    for name, config in run_configs().items():
        execute(config, Path(name))
    encoder = Encoder.from_checkpoint("pretrain")
    encoder.save_pretrained("saved")
    return {"embedding": embedding(encoder)}


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Make a folder the current one: runs name each other by relative paths."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _pack(folder: Path, archive: Path) -> None:
    """Pack a folder without what no later run reads."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(folder.rglob("*")):
            parts = path.relative_to(folder.parent).parts
            names = _EXCLUDED | ({"checkpoints"} if folder.name == _FOLDS else set())
            if path.is_file() and not names & set(parts):
                # A fixed date, so that equal files give equal archives.
                entry = zipfile.ZipInfo("/".join(parts))
                packed.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)


def main() -> None:
    """Write the archives of this version."""
    target = FORMATS / FORMAT_VERSION
    if target.exists():
        sys.exit(f"{target} exists; what a version wrote stays as it is.")
    with tempfile.TemporaryDirectory() as scratch:
        with inside(Path(scratch)):
            expected = write_all()
        target.mkdir(parents=True)
        for folder in sorted(path for path in Path(scratch).iterdir() if path.is_dir()):
            _pack(folder, target / f"{folder.name}.zip")
    np.savez(target / "expected.npz", **expected)


if __name__ == "__main__":
    main()

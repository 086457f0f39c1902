"""Small runs on the waves of ``tests.prepared``: their settings, and what they leave behind."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grain
from ml_collections import ConfigDict

from configs import evaluate, finetune, pretrain
from physio_mae_jax.commands import load_command

# Of the 24 subjects 12 are trained on, 6 validated on and 6 tested on, slow and fast ones in each.
SPLIT = "fold=1-2|3|4"


def pretraining_config(root: Path, **changes: Any) -> ConfigDict:
    """Return the settings of two steps on windows of 6 s."""
    return _on_waves(pretrain.get_config("preset=debug"), root, changes)


def finetuning_config(root: Path, **changes: Any) -> ConfigDict:
    """Return the settings of 60 steps on windows of 3 s, enough to learn any task of the waves.

    Runs with as many classes and the same kind of initialization share what they compile, so change
    no more than a test is about.
    """
    config = _on_waves(finetune.get_config("preset=debug"), root, {})
    config.labels.task = "wave"
    config.labels.window_seconds = 3.0
    config.ema_decay = 0.9
    config.optimizer.peak_learning_rate, config.optimizer.warmup_steps = 3e-3, 5
    config.loop.num_steps = config.loop.log_every_steps = 60
    config.loop.evaluate_every_steps = config.loop.checkpoint_every_steps = 60
    for name in config.data.augment:  # ignoring disturbances takes more steps
        config.data.augment[name] = 0.0
    config.update_from_flattened_dict(changes)
    return config


def evaluation_config(root: Path, method: str, **changes: Any) -> ConfigDict:
    """Return the settings of a probe."""
    config = _on_waves(evaluate.get_config(f"method={method},preset=debug"), root, {})
    config.labels.task, config.batch_size = "wave", 32
    config.evaluation.num_resamples = 50
    config.update_from_flattened_dict(changes)
    return config


def head_config(run: Path, **changes: Any) -> ConfigDict:
    """Return the settings of an evaluation of a fine-tuned run."""
    config = evaluate.get_config("method=head")
    config.init_from, config.num_devices, config.batch_size = str(run), 1, 8
    config.evaluation.num_resamples = 50
    config.update_from_flattened_dict(changes)
    return config


def _on_waves(config: ConfigDict, root: Path, changes: dict[str, Any]) -> ConfigDict:
    config.num_devices = 1
    config.data.sets, config.data.root = "waves", str(root)
    config.data.channels, config.data.split_rule = "II,PPG", SPLIT
    config.update_from_flattened_dict(changes)
    return config


def typed(config: Mapping[str, Any]) -> Any:
    """Return the config tree of a config, as its command reads it."""
    return load_command(config).read(config)


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def reported(workdir: Path, phase: str = "") -> list[dict[str, Any]]:
    """Read metrics.jsonl, of one phase or all, without what depends on the clock."""
    lines = (workdir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    for record in records:
        record.pop("time")
        record.pop("samples_per_second", None)
    return [record for record in records if phase in ("", record["phase"])]


class HookedIterator(grain.DatasetIterator):
    """A training iterator that calls ``hook(step, batch)`` on what it yields."""

    def __init__(self, iterator: grain.DatasetIterator, hook: Any) -> None:
        super().__init__()
        self._iterator, self._hook, self._step = iterator, hook, 0

    def __next__(self) -> dict[str, Any]:
        batch = next(self._iterator)
        self._step += 1
        self._hook(self._step, batch)
        return batch

    def get_state(self) -> Any:
        """Return the place of the next batch."""
        return self._iterator.get_state()

    def set_state(self, state: Any) -> None:
        """Change to a folder."""
        self._iterator.set_state(state)

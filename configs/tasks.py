"""Defaults of each data set for other configs: channels, task and split by subject."""

import dataclasses

from ml_collections import ConfigDict

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.preparation.recording import TrainingDefaults
from physio_mae_jax.preparation.registry import LAYOUTS, training_defaults

# Collected in one npz file: not prepared, so without a layout.
_COLLECTED = {
    "ptbxl_subset": TrainingDefaults(
        channels="12_lead", max_window_seconds=10.0, task="label", split_rule="fold=1-8|9|0.5"
    )
}
DEFAULTS = {name: training_defaults(name) for name in LAYOUTS} | _COLLECTED
TASKS = tuple(name for name, defaults in DEFAULTS.items() if defaults.task)
# Tasks of each data set, of any variant.
TASKS_OF = {
    name: tuple(dict.fromkeys(task.name for make in variants.values() for task in make().tasks))
    for name, variants in LAYOUTS.items()
} | {name: (defaults.task,) for name, defaults in _COLLECTED.items()}
# Those that label each sample.
SAMPLE_TASKS = {
    task.name
    for variants in LAYOUTS.values()
    for make in variants.values()
    for task in make().tasks
    if task.level == "sample"
}
DEFAULT_TASK = "default"


def add_task(config: ConfigDict, name: str, data: ConfigDict, task: str = DEFAULT_TASK) -> None:
    """Give a config the sections ``data``, ``labels`` and ``evaluation`` of a labeled task.

    Args:
        config: ConfigDict that receives the sections.
        name: One of ``TASKS``.
        data: Section ``data`` of ``configs/pretrain.py`` for the same data.
        task: Another task of the data set, of which all classes are used.
    """
    chosen = DEFAULTS[name]
    if task not in (DEFAULT_TASK, chosen.task):
        if task not in TASKS_OF[name]:
            raise ConfigError(
                f"data set {name!r} has no task {task!r}; choose one of "
                f"{', '.join(TASKS_OF[name])}."
            )
        chosen = dataclasses.replace(chosen, task=task, classes="", label_window_seconds=0.0)
    config.data = data
    config.data.split_rule = chosen.split_rule
    config.data.channels = chosen.channels
    config.data.missing_channels = "mask"
    config.data.augment.noise = config.data.augment.baseline_wander = 0.1
    config.data.augment.channel_dropout = config.data.augment.time_mask = 0.1
    config.labels = ConfigDict()
    config.labels.task = chosen.task  # task of the data set, or 'attribute:age' for regression
    config.labels.classes = chosen.classes  # '': all
    config.labels.require_label = True  # exclude recordings without a class, as benchmarks do
    config.labels.max_windows = 16  # maximum number of windows per recording that are averaged
    config.labels.event_offset = 0.5  # position of a beat in its window, 0 to 1
    config.labels.window_seconds = (
        chosen.label_window_seconds
    )  # window length; 0: that of the encoder
    # Step between the evaluation windows of a recording or the windows of a state, in windows
    config.labels.window_stride = 1.0
    config.label_fraction = 1.0  # fraction of the training subjects
    add_evaluation(config)


def add_evaluation(config: ConfigDict) -> None:
    """Give a config the section ``evaluation``."""
    config.evaluation = ConfigDict()
    config.evaluation.threshold_beta = 1.0  # F-beta that chooses thresholds
    config.evaluation.num_resamples = 1000  # replicates of the bootstrap by subject
    config.evaluation.min_positives = 10  # classes with fewer are marked as rare

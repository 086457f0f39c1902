"""Labelled tasks of the data sets, each with a split by subject, for the other configs."""

from ml_collections import ConfigDict

# Task, split rule, channels, window seconds (0: that of the encoder), classes used.
TASKS = {
    "ptbxl": ("superclass", "fold=1-8|9|10", "12_lead", 0.0, ""),
    "ptbxl_subset": ("label", "fold=1-8|9|0.5", "12_lead", 0.0, ""),
    "mitbih": ("beat", "set=DS1|0.2|DS2 -shared", "", 3.0, "N,S,V,F"),
    "stress_predict": ("stress", "random=|0.2|0.2", "PPG,EDA,ACC_X,ACC_Y,ACC_Z", 0.0, ""),
    "bonn": ("set", "random=|0.2|0.2", "EEG", 0.0, ""),
    "cinc2017": ("rhythm", "random=|0.2|0.2", "I", 0.0, ""),
    "sleep_edf": ("stage", "random=|0.2|0.2", "EEG_FPZ_CZ,EEG_PZ_OZ", 0.0, ""),
    "wesad": ("affect", "random=|0.2|0.2", "", 0.0, "baseline,stress,amusement"),
    "mimic3": ("rhythm", "random=|0.2|0.2", "ecg_ppg", 0.0, ""),
}


def add_task(config: ConfigDict, name: str, data: ConfigDict) -> None:
    """Give a config the sections ``data``, ``labels`` and ``evaluation`` of a labelled task.

    Args:
        config: ConfigDict that receives the sections.
        name: Key of ``TASKS``.
        data: Section ``data`` of ``configs/pretrain.py`` for the same data.
    """
    task, split_rule, channels, seconds, classes = TASKS[name]
    config.data = data
    config.data.split_rule = split_rule
    config.data.channels = channels
    config.data.missing_channels = "mask"
    config.data.augment.noise = config.data.augment.baseline_wander = 0.1
    config.data.augment.channel_dropout = config.data.augment.time_mask = 0.1
    config.labels = ConfigDict()
    config.labels.task = task  # task of the data set, or 'attribute:age' for regression
    config.labels.classes = classes  # '': all
    config.labels.require_label = True  # exclude recordings of no class, as benchmarks do
    config.labels.max_windows = 16  # most windows of a recording that its prediction averages over
    config.labels.event_offset = 0.5  # position of a beat in its window, 0 to 1
    config.labels.window_seconds = seconds  # window length; 0: that of the encoder
    config.labels.window_stride = 1.0  # step between the windows of a state, in windows
    config.label_fraction = 1.0  # fraction of the training subjects
    add_evaluation(config)


def add_evaluation(config: ConfigDict) -> None:
    """Give a config the section ``evaluation``."""
    config.evaluation = ConfigDict()
    config.evaluation.threshold_beta = 1.0  # F-beta that chooses thresholds
    config.evaluation.num_resamples = 1000  # replicates of the bootstrap by subject
    config.evaluation.min_positives = 10  # classes with fewer are marked as rare

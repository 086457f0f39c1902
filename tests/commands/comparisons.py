"""Configs of comparisons on the waves."""


def on_waves(config, root, **changes):
    config.data.sets, config.data.root, config.data.channels = "waves", str(root), "II,PPG"
    config.labels.task, config.evaluation.num_resamples = "wave", 50
    config.update_from_flattened_dict(changes)
    return config

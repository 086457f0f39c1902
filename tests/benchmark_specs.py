"""Small benchmarks."""

from configs import pretrain as pretrain_config


def small(argument="preset=debug", **model):
    config = pretrain_config.get_config(argument)
    for name, value in model.items():
        config.model[name] = value
    config.num_devices = 1
    return config

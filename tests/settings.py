"""Configs with a changed value."""

import copy
import runpy

from ml_collections import ConfigDict

from tests.paths import REPOSITORY

CONFIGS = REPOSITORY / "configs"


def config_of(name: str, argument: str | None) -> ConfigDict:
    get = runpy.run_path(str(CONFIGS / f"{name}.py"))["get_config"]
    return get() if argument is None else get(argument)


def with_value(config: ConfigDict, key: str, value) -> ConfigDict:
    changed = copy.deepcopy(config)
    *sections, last = key.split(".")
    holder = changed
    for name in sections:
        holder = holder[name]
    with holder.unlocked():
        del holder[last]  # and with it its type
        holder[last] = value
    return changed

"""Every data set is in the guide, has a task in the configs, and a debug run in the tests."""

import re

import pytest

from configs import finetune, pretrain
from configs.tasks import DEFAULTS, TASKS
from physio_mae_jax.preparation.registry import LAYOUTS
from tests.paths import PACKAGE, REPOSITORY

GUIDES = ("data.md", "data.zh-CN.md")
every_set = pytest.mark.parametrize("name", LAYOUTS)


@every_set
@pytest.mark.parametrize("guide", GUIDES)
def test_the_guide_lists_its_loader_variants_and_default_task(name, guide):
    text = (PACKAGE / "guides" / guide).read_text(encoding="utf-8")
    variants = LAYOUTS[name]
    module = type(next(iter(variants.values()))()).__module__.rpartition(".")[2]
    link = f"| [`{name}`](../preparation/layouts/{module}.py) |"
    rows = [line for line in text.splitlines() if line.startswith(link)]
    assert len(rows) == 1, f"write one row {link} in the table of data sets of {guide}"
    _, _, shown, _, labels, _ = (cell.strip() for cell in re.split(r"(?<!\\)\|", rows[0]))
    assert re.findall(r"`(.*?)`", shown) == [variant for variant in variants if variant]
    assert re.findall(r"`(.*?)`", labels)[0] == DEFAULTS[name].task


@every_set
def test_it_has_a_task_in_the_configs(name):
    assert name in TASKS, f"give the layout of {name} a default task"
    for config in (finetune, pretrain):
        assert re.search(rf"\b{name}\b", config.__doc__), f"name {name} in {config.__name__}"
    labels = finetune.get_config(f"data={name}").labels
    known = {task.name for make in LAYOUTS[name].values() for task in make().tasks}
    assert labels.task in known or labels.task.startswith("attribute:")


@every_set
def test_it_has_a_debug_run_in_its_tests(name):
    folder = REPOSITORY / "tests" / "preparation" / "layouts"
    call = re.compile(rf'debug_run\(\s*"{name}(?:/\w+)?"')
    found = [path.name for path in folder.glob("test_*.py") if call.search(path.read_text())]
    assert found, f'call debug_run("{name}", …) in a test of its layout'

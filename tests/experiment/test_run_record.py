"""What a run recorded about itself, and what of it may leave the machine."""

import dataclasses
import json
import shutil

import pytest

from physio_mae_jax.errors import DataError
from physio_mae_jax.experiment.run_directory import read_run
from physio_mae_jax.experiment.run_record import (
    collect_record,
    device_hours,
    read_record,
    write_record,
)


def line(step, seconds, **more):
    return {"step": step, "step_seconds": seconds, "saving_seconds": [0.0] * len(seconds), **more}


def test_the_cost_is_time_times_devices_by_their_kind():
    eight = {"kind": "H200", "number": 8}
    lines = [
        line(1, [59.0, 61.0], devices=eight, evaluating_seconds=30.0),
        line(11, [1.0, 3.0], devices=eight, evaluating_seconds=10.0),
        line(31, [0.5], devices={"kind": "A100", "number": 1}),
    ]
    hours = device_hours(lines)
    assert hours["H200"] == pytest.approx(8 * (60 + 30 + 10 * 2 + 10) / 3600, rel=1e-4)
    assert hours["A100"] == pytest.approx(20 * 0.5 / 3600, rel=1e-3)


def test_lines_of_earlier_versions_count_as_one_device():
    assert device_hours([line(36, [100.0])]) == {"unknown": pytest.approx(1.0)}
    assert device_hours([]) == {}


def test_a_record_is_collected_and_read_again(pretrained, waves_root, tmp_path):
    record = collect_record(pretrained)
    assert record.num_steps == 2
    assert record.config["model"]["width"] == 32
    assert [one.name for one in record.data] == ["waves"]
    assert record.data[0].num_subjects == 12
    assert sum(record.device_hours.values()) > 0
    write_record(tmp_path, record)
    text = (tmp_path / "training.json").read_text(encoding="utf-8")
    for path in (pretrained, waves_root):
        assert str(path) not in text
    assert dataclasses.asdict(read_record(tmp_path)).keys() == dataclasses.asdict(record).keys()
    assert read_record(tmp_path) == record
    assert read_run(str(pretrained))["data"]["root"] == str(waves_root)


def test_a_changed_record_is_rejected(pretrained, tmp_path):
    write_record(tmp_path, collect_record(pretrained))
    path = tmp_path / "training.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | {"num_steps": 9}), encoding="utf-8")
    with pytest.raises(DataError, match="'num_steps'"):
        read_record(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [("data.json", "run the command of the training again"), ("hosts.jsonl", "cannot be read")],
)
def test_a_run_without_a_record_says_how_to_get_one(name, message, pretrained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(pretrained, run, ignore=shutil.ignore_patterns("checkpoints", name))
    with pytest.raises(DataError, match=message):
        collect_record(run)

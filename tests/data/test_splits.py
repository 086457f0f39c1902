"""Splits go by subject, say what they are, and cannot overlap."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.data.splits import (
    SPLITS,
    SubjectSplits,
    divide_leaking,
    is_leaking,
    make_split,
    read_split,
)
from physio_mae_jax.errors import ConfigError, DataError


def recordings(subjects, data_set="", **attributes):
    """Describe a recording for each subject; attributes are lists as long."""
    return [
        RecordingInfo(
            record_id=f"r{i}",
            subject_id=subject,
            channel_names=("II",),
            sampling_rate_hz=100.0,
            num_samples=1000,
            data_set=data_set,
            attributes={name: values[i] for name, values in attributes.items()},
        )
        for i, subject in enumerate(subjects)
    ]


def divided(infos, rule, seed=0):
    split = make_split(infos, range(len(infos)), rule, seed)
    return {part: split.divide(infos, range(len(infos)))[part] for part in SPLITS}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 12), min_size=8, max_size=60).filter(lambda s: len(set(s)) >= 5),
    st.sampled_from(
        ["random=|0.1|", "random=|0.2|0.2", "kfold=3:0", "kfold=5:4", "subject=|0.3|s0"]
    ),
    st.integers(0, 3),
)
def test_no_subject_is_in_two_parts_and_no_recording_is_lost(numbers, rule, seed):
    subjects = [f"s{n}" for n in [0, *numbers]]
    infos = recordings(subjects)
    parts = divided(infos, rule, seed)
    assert sorted(i for some in parts.values() for i in some) == list(range(len(infos)))
    for first in SPLITS:
        for second in set(SPLITS) - {first}:
            assert not {subjects[i] for i in parts[first]} & {subjects[i] for i in parts[second]}
    assert parts["train"]


def test_the_random_split_depends_on_subjects_and_seed_alone():
    infos = recordings([f"s{i}" for i in range(20)])
    rule = "random=|0.2|0.1"
    split = make_split(infos, range(20), rule, 3)
    assert len(split.subjects["validation"]) == 4
    assert len(split.subjects["test"]) == 2
    assert make_split(infos[::-1], range(20), rule, 3).hash == split.hash
    assert make_split(infos, range(20), rule, 4).hash != split.hash


def test_folds_go_by_their_numbers():
    infos = recordings([f"s{i}" for i in range(10)], fold=list(range(1, 11)))
    parts = divided(infos, "fold=1-8|9|10")
    assert parts == {"train": list(range(8)), "validation": [8], "test": [9]}
    assert divided(infos, "fold=1,3||5-6")["train"] == [0, 2]


def test_a_share_is_drawn_from_the_part_before_it():
    infos = recordings([f"s{i}" for i in range(20)], fold=[1] * 10 + [9] * 10)
    parts = divided(infos, "fold=1|9|0.3")
    assert parts["train"] == list(range(10))
    assert len(parts["test"]) == 3
    assert sorted(parts["validation"] + parts["test"]) == list(range(10, 20))
    both = divided(infos, "fold=1|0.2|0.5")
    assert (len(both["train"]), len(both["validation"]), len(both["test"])) == (8, 1, 1)
    with pytest.raises(DataError, match=r"draws test from validation, which has 0 subjects"):
        divided(infos, "fold=1||0.5")


def test_a_leaky_division_is_of_units_and_for_labeled_tasks_only():
    parts = divide_leaking(50, "leaky=|0.2|0.3", seed=1)
    assert [len(parts[part]) for part in SPLITS] == [25, 10, 15]
    assert sorted(np.concatenate(list(parts.values()))) == list(range(50))
    assert is_leaking("leaky=|0.2|0.3")
    assert not is_leaking("random=|0.2|0.3")
    with pytest.raises(ConfigError, match=r"write leaky=\|0.1\|0.2"):
        divide_leaking(50, "leaky=|0.2|", seed=1)
    with pytest.raises(ConfigError, match=r"divides windows, not subjects"):
        divided(recordings(["a", "b", "c"]), "leaky=|0.2|0.3")


def test_every_fold_is_tested_once():
    infos = recordings([f"s{i % 11}" for i in range(40)])
    tested = [i for fold in range(4) for i in divided(infos, f"kfold=4:{fold}")["test"]]
    assert sorted(tested) == list(range(40))


def test_leaving_one_subject_out_trains_on_all_others():
    infos = recordings(["a", "b", "a", "c", "d", "e"])
    parts = divided(infos, "subject=|0.25|a")
    assert parts["test"] == [0, 2]
    assert len(parts["validation"]) == 1
    assert len(parts["train"]) == 3


def test_a_subject_in_two_parts_is_an_error_unless_excluded_by_name():
    infos = recordings(["201", "x", "201", "y"], set=["DS1", "DS1", "DS2", "DS2"])
    with pytest.raises(DataError, match=r"1 subjects both into train and into test \(201\)"):
        divided(infos, "set=DS1||DS2")
    assert divided(infos, "set=DS1||DS2 -shared") == {
        "train": [0, 1, 2],
        "validation": [],
        "test": [3],
    }


def test_each_data_set_has_its_rule_and_equal_ids_are_other_subjects():
    one = recordings(["1", "2", "3"], "ptbxl", fold=[1, 9, 10])
    two = recordings(["1", "2", "3", "4"], "bidmc")
    infos = [*one, *two]
    parts = divided(infos, "ptbxl: fold=1|9|10; random=|0.25|")
    assert parts["test"] == [2]
    assert {i for i in parts["train"] if i > 2} | {i for i in parts["validation"] if i > 2} == {
        *(3, 4, 5, 6)
    }
    with pytest.raises(ConfigError, match=r"has no rule for data set 'bidmc'"):
        divided(infos, "ptbxl: fold=1|9|10")
    with pytest.raises(ConfigError, match=r"names data set 'wesad'"):
        divided(infos, "wesad: random=|0.1|; random=|0.1|")


WRONG = {
    "": (ConfigError, "rule is empty"),
    "random=0.1": (ConfigError, "is invalid"),
    "random=0.8|0.1|0.1": (ConfigError, r"such as random=\|0.1\|0.2"),
    "random=|2|": (ConfigError, "got '2'"),
    "kfold=2:0": (ConfigError, "must be kfold=K:i"),
    "kfold=5:5": (ConfigError, "must be kfold=K:i"),
    "fold=1-8|9|11": (DataError, r"lists fold '11', which no recording has; available: 1"),
    "site=a||b": (DataError, r"recording r0 of the data has no attribute 'site'; it has subject"),
}


@pytest.mark.parametrize("rule", WRONG)
def test_wrong_rules_are_reported(rule):
    error, message = WRONG[rule]
    infos = recordings([f"s{i}" for i in range(10)], fold=list(range(1, 11)))
    with pytest.raises(error, match=message):
        divided(infos, rule)


def test_one_subject_alone_cannot_be_split():
    with pytest.raises(DataError, match=r"1 subject \(a\)"):
        divided(recordings(["a", "a"]), "random=|0.1|")
    with pytest.raises(ConfigError, match=r"needs at least 3 subjects.*there are 2"):
        divided(recordings(["a", "b"]), "kfold=5:2")


def test_a_written_split_is_read_again_and_an_altered_one_rejected(tmp_path):
    infos = recordings([f"s{i}" for i in range(10)])
    split = make_split(infos, range(10), "random=|0.2|0.2", 0)
    path = tmp_path / "split.json"
    content = split.to_json()
    path.write_text(json.dumps(content), encoding="utf-8")
    assert make_split(infos, range(10), str(path), 5).subjects == split.subjects
    moved = content["subjects"]["test"].pop()
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match=r"was altered: its splits have the hash"):
        read_split(path)
    content["subjects"]["train"].append(moved)
    content["subjects"]["test"].append(moved)
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match=f"both into train and into test .{moved}"):
        read_split(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=r"split\.json cannot be read"):
        read_split(path)


def test_a_planted_leak_is_caught_however_it_comes_in():
    with pytest.raises(DataError, match="both into validation and into test"):
        SubjectSplits(
            rule="by hand", subjects={"train": ("a",), "validation": ("b",), "test": ("b", "c")}
        )
    infos = recordings(["a", "b", "c", "c"], fold=[1, 9, 9, 10])
    with pytest.raises(DataError, match=r"validation and into test \(c\)"):
        divided(infos, "fold=1|9|10")


def test_recordings_of_nobody_in_the_file_belong_to_no_part():
    infos = recordings(["a", "b", "c"])
    split = SubjectSplits(rule="x", subjects={"train": ("a",), "validation": ("b",), "test": ()})
    assert split.divide(infos, [0, 1, 2]) == {"train": [0], "validation": [1], "test": []}
    assert dataclasses.replace(split, rule="y").hash == split.hash
    assert np.unique([len(split.hash)]).tolist() == [16]


@pytest.mark.parametrize(
    "span", ["1-99999999999", "1-999999999999999999", "0-4", "2-99999999999", "1-" + "9" * 6000]
)
def test_a_span_beyond_all_values_ends_at_once(span):
    infos = [
        RecordingInfo(
            record_id=str(i),
            subject_id=str(i),
            channel_names=("II",),
            sampling_rate_hz=100.0,
            num_samples=100,
            attributes={"fold": i},
        )
        for i in range(1, 5)
    ]
    with pytest.raises(DataError, match="which no recording has"):
        make_split(infos, range(4), f"fold={span}|2|", 0)

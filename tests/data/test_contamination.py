"""What was trained on is recognized, under whatever name it comes back."""

import dataclasses
import json

import numpy as np
import pytest

from physio_mae_jax.data.contamination import TrainingProvenance, check_contamination
from physio_mae_jax.data.fingerprints import block_hashes, subject_hash
from physio_mae_jax.errors import DataError
from tests.factories import ArraySource


def source_of(arrays, subjects, channels=("II", "PPG"), data_set="set"):
    source = ArraySource(arrays, channels, subjects=subjects)
    source.recordings = [dataclasses.replace(r, data_set=data_set) for r in source.recordings]
    return source


def noise(seed, channels=2, samples=3000):
    return np.random.default_rng(seed).normal(size=(channels, samples))


def check(trained_on, source, strict=False):
    return check_contamination(trained_on, source, range(len(source.recordings)), strict=strict)


@pytest.fixture
def trained_on():
    source = source_of([noise(0), noise(1)], ["anna", "ben"])
    return TrainingProvenance.from_recordings(source, [0, 1])


def test_other_subjects_are_uncontaminated(trained_on):
    report = check(trained_on, source_of([noise(2)], ["carl"]), strict=True)
    assert report.is_uncontaminated
    assert report.format_line() == (
        "contamination: none of 1 subjects and 1 recordings was trained on."
    )


def test_a_subject_trained_on_is_named_also_with_new_samples(trained_on):
    report = check(trained_on, source_of([noise(3), noise(4)], ["anna", "dora"]))
    assert report.subjects == ("set:anna",)
    assert not report.recordings
    assert "CONTAMINATION: 1 of 2 subjects (set:anna)" in report.format_line()


def test_same_id_in_another_data_set_is_another_subject(trained_on):
    assert check(trained_on, source_of([noise(3)], ["anna"], data_set="other")).is_uncontaminated


@pytest.mark.parametrize(
    "copy",
    [
        lambda signal: (signal, ("II", "PPG")),
        lambda signal: (signal[:1], ("V1",)),  # one channel, renamed
        lambda signal: (np.concatenate([noise(9, 1), signal[1:]]), ("I", "PPG")),
        lambda signal: (signal[:, :1500], ("II", "PPG")),  # cut short
    ],
)
def test_trained_on_samples_are_recognized_under_other_names(trained_on, copy):
    signal, channels = copy(noise(1))
    other = source_of([signal, noise(5)[: len(signal)]], ["x", "y"], channels, "another")
    report = check(trained_on, other)
    assert report.recordings == ("record0",)
    assert not report.subjects


def test_strict_rejects(trained_on):
    with pytest.raises(DataError, match=r"CONTAMINATION: 1 of 1 subjects .*omit --strict"):
        check(trained_on, source_of([noise(0)], ["anna"]), strict=True)


def test_constant_and_missing_samples_prove_nothing():
    signal = np.zeros((2, 3000), np.float32)
    signal[1, 100] = np.nan
    assert block_hashes(signal[:1], 100.0) == []
    assert len(block_hashes(signal[1:], 100.0)) == 0
    assert len(block_hashes(noise(0).astype(np.float32), 100.0)) == 6
    assert len(block_hashes(noise(0)[:, :500].astype(np.float32), 100.0)) == 2


def test_a_record_survives_json_and_joins(trained_on):
    again = TrainingProvenance.from_json(json.loads(json.dumps(trained_on.to_json())), "a", "b.")
    np.testing.assert_array_equal(again.subjects, trained_on.subjects)
    np.testing.assert_array_equal(again.blocks, trained_on.blocks)
    more = TrainingProvenance.from_recordings(source_of([noise(7)], ["eve"]), [0]).merge(again)
    assert set(more.subjects.tolist()) == {
        subject_hash("set", name) for name in ("anna", "ben", "eve")
    }
    assert len(more.blocks) == 18

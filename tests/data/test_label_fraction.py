"""Fractions of the training subjects."""

import numpy as np
import pytest

from physio_mae_jax.data.label_fraction import choose_fraction, rarest_class
from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.errors import ConfigError
from tests.data.instances import instances_of
from tests.prepared import waves


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    prepared = PreparedSource(waves(tmp_path_factory.mktemp("sets")))
    return ConcatSource([prepared], [range(len(prepared.recordings))])


def subjects_of(source, instances):
    return [source.recordings[int(i)].subject_key for i in instances.recording]


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_a_fraction_is_one_of_subjects_and_keeps_every_class(source, fraction):
    instances = instances_of(source, "flags", require_label=False)
    subjects = subjects_of(source, instances)
    chosen = choose_fraction(instances, subjects, fraction, seed=1)
    kept = set(subjects_of(source, chosen))
    assert len(kept) == pytest.approx(24 * fraction, abs=2)
    # Whoever is in is in with all instances, and the one subject of class c is.
    assert len(chosen) == sum(subject in kept for subject in subjects)
    assert chosen.targets.any(axis=0).all()
    again = choose_fraction(instances, subjects, fraction, seed=1)
    assert again.ids.tolist() == chosen.ids.tolist()
    assert (
        choose_fraction(instances, subjects, fraction, seed=2).ids.tolist() != chosen.ids.tolist()
    )
    assert chosen.window_instance.max() == len(chosen) - 1


def test_fractions_out_of_range_are_reported(source):
    instances = instances_of(source, "wave")
    with pytest.raises(ConfigError, match=r"label_fraction must be .* got 0"):
        choose_fraction(instances, subjects_of(source, instances), 0, 0)


def test_the_stratum_of_a_subject_is_their_rarest_class():
    targets = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 0, 1]])
    strata = rarest_class(targets, ["p", "q", "p", "r", "q"], "multilabel")
    assert strata["p"] == 0
    assert strata["q"] in (1, 2)
    assert strata["r"] == -1

"""Labeled data: a share of it is one of subjects, and no patient is in two parts."""

import numpy as np
import pytest

from physio_mae_jax.commands.finetune import build_finetuning
from physio_mae_jax.errors import DataError
from tests.runs import finetuning_config, typed


def test_recordings_of_a_patient_in_two_parts_are_rejected(waves_root, tmp_path):
    config = finetuning_config(waves_root, **{"data.split_rule": "visit=0|0.2|1"})
    with pytest.raises(DataError, match=r"\d+ subjects both into train and into test"):
        build_finetuning(typed(config), tmp_path, strict=False)


def test_a_share_of_the_labels_is_one_of_the_subjects(waves_root, tmp_path):
    runs = [
        build_finetuning(
            typed(finetuning_config(waves_root, label_fraction=fraction)),
            tmp_path / name,
            strict=True,
        )
        for name, fraction in (("all", 1.0), ("half", 0.5))
    ]
    whole, half = (run.instances["train"] for run in runs)
    assert whole.targets.sum(axis=0).tolist() == [12, 12]
    assert half.targets.sum(axis=0).tolist() == [6, 6]
    # Excluded subjects may be evaluated on later: nothing was learned of them.
    assert [len(run.training.trained_on.subjects) for run in runs] == [12, 6]
    for part in ("validation", "test"):
        np.testing.assert_array_equal(runs[0].instances[part].ids, runs[1].instances[part].ids)
    assert runs[1].context["label fraction"] == 0.5

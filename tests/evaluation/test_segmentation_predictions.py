"""Windows of a recording are put together again."""

import dataclasses

import numpy as np

from tests.evaluation.segmentations import segmentation


def test_windows_are_joined_and_absent_channels_are_excluded():
    predictions = segmentation(subjects=3)
    tracks = list(predictions.tracks())
    assert [(t.recording, t.subject, t.channel) for t in tracks] == [
        (f"p{i}_0", f"p{i}", "II") for i in range(3)
    ]
    for found in tracks:
        np.testing.assert_array_equal(found.predicted[:580], found.targets[:580])
        assert (found.targets[580:] == -1).all()
        assert (found.predicted[580:] >= 0).all()


def test_of_windows_that_overlap_the_earlier_counts_and_between_others_nothing_is_known():
    first = segmentation(subjects=1)
    later = dataclasses.replace(first, starts=np.asarray([0, 250]))
    (found,) = later.tracks()
    np.testing.assert_array_equal(found.predicted[:300], first.predicted[0, 0])
    np.testing.assert_array_equal(found.predicted[300:], first.predicted[1, 0, 50:])
    apart = dataclasses.replace(first, starts=np.asarray([700, 1100]))
    (found,) = apart.tracks()
    assert len(found.predicted) == 700
    assert (found.predicted[300:400] == -1).all()


def test_files_are_plain_arrays(tmp_path):
    predictions = segmentation()
    predictions.save(tmp_path / "test.npz")
    with np.load(tmp_path / "test.npz", allow_pickle=False) as found:
        assert found["classes"].tolist() == ["none", "up", "down"]
        for name in ("recordings", "starts", "channels", "predicted", "targets"):
            np.testing.assert_array_equal(found[name], getattr(predictions, name))

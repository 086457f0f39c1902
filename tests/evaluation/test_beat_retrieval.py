"""The times of beats find the ECG of a pulse without learning."""

import numpy as np

from physio_mae_jax.data.synthetic import CHANNELS, CohortConfig, SyntheticCohort
from physio_mae_jax.evaluation.beat_retrieval import beat_similarity
from physio_mae_jax.evaluation.retrieval import rank_metrics


def test_windows_are_found_within_a_recording_and_among_all():
    cohort = SyntheticCohort(CohortConfig(num_subjects=4, recordings_per_subject=1, seconds=60.0))
    rows = [CHANNELS.index("PPG"), CHANNELS.index("II")]
    signal = np.concatenate(
        [cohort.read(i, 0, 6000)[rows].reshape(2, 6, 1000).swapaxes(0, 1) for i in range(4)]
    )
    subjects = np.repeat(np.arange(4), 6)
    similarity = beat_similarity(signal, ("PPG", "II"), 100.0)
    assert np.abs(similarity).max() <= 1 + 1e-5
    for pool in ("within", "all"):
        for one in (similarity, similarity.T):
            assert rank_metrics(one, subjects, pool)["recall@1"] > 0.8
    swapped = beat_similarity(signal[:, ::-1], ("II", "PPG"), 100.0)
    np.testing.assert_allclose(swapped, similarity.T, atol=1e-5)
    assert beat_similarity(signal, ("I", "II"), 100.0) is None

"""Size, license and citation of training data."""

import pytest

from physio_mae_jax.data.data_summary import summarize_data
from physio_mae_jax.data.prepared import PreparedSource, find_prepared
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.synthetic import CohortConfig, SyntheticCohort


@pytest.fixture
def source(waves_root):
    prepared = PreparedSource(find_prepared(waves_root, "waves"))
    cohort = SyntheticCohort(CohortConfig(num_subjects=2, recordings_per_subject=2, seconds=36.0))
    return ConcatSource(
        [prepared, cohort], [range(len(prepared.recordings)), range(len(cohort.recordings))]
    )


def test_each_set_is_counted_with_the_license_that_it_states(source):
    indices = [0, 1, *range(len(source.recordings) - 3, len(source.recordings))]
    waves, synthetic = summarize_data(source, indices)
    assert (waves.name, waves.num_recordings) == ("waves", 2)
    assert waves.channels == ("II", "PPG")
    metadata = source.origin(0)[0].metadata
    assert waves.content_hash == metadata.content_hash
    assert waves.license == metadata.license
    assert (synthetic.num_recordings, synthetic.num_subjects) == (3, 2)
    assert synthetic.hours == pytest.approx(3 * 36 / 3600, abs=1e-4)
    assert (synthetic.license, synthetic.content_hash) == ("", "")

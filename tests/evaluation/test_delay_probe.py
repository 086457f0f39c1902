"""The probe reads a delay that is there, and none that is not."""

import numpy as np

from physio_mae_jax.evaluation.delay_probe import probe_delay


def test_the_probe_reads_a_delay_that_is_there_and_none_that_is_not():
    rng = np.random.default_rng(0)
    time = np.arange(50)

    def cohort(count):
        delay = rng.uniform(0, 2, count)
        phase = rng.uniform(0, 10, (count, 3))
        lag = np.stack([np.zeros(count), delay], axis=1)
        angle = (time - phase[:, :, None, None] - lag[:, None, :, None]) * 2 * np.pi / 10
        values = np.stack([np.sin(angle), np.cos(angle)], axis=-1)
        return values + 0.05 * rng.normal(size=values.shape), delay

    result = probe_delay(*cohort(60), *cohort(20))
    assert result["correlation"] > 0.95
    fitted, evaluated = cohort(60), cohort(20)
    noise = probe_delay(fitted[0], rng.permutation(fitted[1]), *evaluated)
    assert noise["mean_absolute_error_seconds"] > 0.5 * noise["baseline_error_seconds"]

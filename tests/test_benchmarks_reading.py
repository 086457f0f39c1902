"""The benchmark of the reader: its files have the same samples in every format."""

import json

import numpy as np
import pytest

from physio_mae_jax.benchmarks import reading


def test_every_format_gives_the_same_windows(tmp_path):
    samples = reading.write_recordings(tmp_path, 3)
    sources = reading.open_sources(tmp_path)
    readers = reading.window_readers(tmp_path, samples)
    for name, source in sources.items():
        for index in range(3):
            ours = source.read(index, 500, 1500)
            np.testing.assert_allclose(ours, samples[index, :, 500:1500], atol=2e-3, err_msg=name)
            np.testing.assert_allclose(readers[name](index, 500), ours, atol=2e-3, err_msg=name)
        batch = next(reading.batches(source, 1))
        assert batch.shape == (128, 12, 1000)
        np.testing.assert_allclose(batch.std(axis=-1), 1, atol=1e-2)


def test_a_line_is_printed_for_each_format_and_number_of_threads(capsys):
    reading.main(["--recordings=2", "--threads=1,2", "--workers=", "--seconds=0.01"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    formats = ["prepared", "npz", "wfdb", "edf"]
    assert [(line["format"], line["threads"]) for line in lines] == [
        (form, threads) for form in formats for threads in (1, 2)
    ]
    assert all(line["windows_per_s"] > 0 and line["cpu_s_per_10000"] > 0 for line in lines)
    assert all(line["faults_per_batch"] >= 0 for line in lines)


def test_windows_of_the_pytorch_data_set_are_normalized():
    samples = np.random.default_rng(0).normal(5, 3, size=(2, 12, 3000)).astype(np.float32)
    windows = reading.RandomWindows(lambda i, first: samples[i, :, first : first + 1000], 2)
    assert len(windows) == 2000
    assert windows[1].mean() == pytest.approx(0, abs=1e-4)
    assert windows[1].std(axis=-1) == pytest.approx(1, abs=1e-4)

"""The benchmark of long recordings measures what it says, in a process of its own."""

import math

import pytest

from physio_mae_jax.benchmarks import long_recordings
from physio_mae_jax.benchmarks.long_recordings import (
    format_table,
    measure_lengths,
    peak_memory_mib,
    write_recording,
)
from physio_mae_jax.commands.benchmarking import build_benchmark
from physio_mae_jax.data.formats.folder import open_folder
from tests.runs import typed
from tests.test_benchmarks import small


def test_a_recording_is_measured(monkeypatch):
    monkeypatch.setattr(long_recordings, "_SHORT_MINUTES", 1)
    bench = build_benchmark(typed(small()), num_channels=3, repeats=1, with_data=False)
    (found,) = measure_lengths(bench.spec, bench.batch_size, hours=[1 / 60])
    window_seconds = bench.model.num_samples / bench.model.sampling_rate_hz
    assert found.hours == pytest.approx(1 / 60)
    assert found.windows == math.ceil(60 / window_seconds)
    assert found.open_s < found.encode_s
    assert found.recordings_per_s == pytest.approx(1 / found.encode_s)
    assert 0 <= found.added_mib < found.peak_mib
    assert len(format_table([found])) == 2


def test_recordings_have_their_length(tmp_path):
    write_recording(tmp_path / "a.hea", 3)
    (info,) = open_folder(tmp_path).recordings
    assert (info.seconds, info.channel_names) == (180, ("I", "II", "V1"))


def test_memory_is_that_of_this_process():
    assert math.isnan(peak_memory_mib()) or 10 < peak_memory_mib() < 1e6
